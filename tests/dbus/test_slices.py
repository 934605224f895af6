"""Large bodies in pieces: the same JSON as at once."""

import json
from typing import Any

import pytest
from hypothesis import given

from spanbridge.payloads.bus import slices
from spanbridge.payloads.bus.marshal import marshal
from spanbridge.payloads.bus.message import Message
from spanbridge.payloads.bus.signature import Variant
from spanbridge.payloads.bus.slices import Text, encoder, entries
from spanbridge.payloads.bus.unmarshal import Malformed

from ..protocol.determined import examples
from .test_marshal import BODIES


def message(signature: str, values: "list[Any] | tuple[Any, ...]") -> Message:
    return Message(2, signature=signature, body=marshal(signature, values))


def text_of(whole: Message, most: int = 1 << 30) -> tuple[bytes, int]:
    """The text, and in how many pieces it came."""
    text = Text(whole, encoder(str), most)
    count = sum(1 for _ in text.pieces())
    return bytes(text.out), count


@examples(80)
@given(BODIES)
def test_any_body(body: tuple[str, tuple[Any, ...]]) -> None:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(slices, "PIECE_BYTES", 8)
    try:
        whole = message(*body)
        told, _ = text_of(whole)
        assert json.loads(told) == json.loads(json.dumps(whole.values()))
    finally:
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("a{sv}", {f"p{number}": Variant("as", ["x" * 50] * 20) for number in range(2_000)}),
        ("a{sv}", {"one": Variant("a(sss)", [("x" * 20, "", "y")] * 20_000)}),
        ("a(ssssv)", [("a" * 10, "b", "", "c" * 30, Variant("i", 5))] * 10_000),
        ("(aiv)", (list(range(100_000)), Variant("v", Variant("ai", list(range(100_000)))))),
        ("aas", [["x" * 100] * 1_000] * 10),
        ("ay", bytes(range(256)) * 4_000),
        ("s", 'x\u00e9\u20ac\U0001f600\x01"' * 20_000),
        ("v", Variant("s", "\u20ac" * 100_000)),
    ],
    ids=["a{sv}", "a{sv} of a(sss)", "a(ssssv)", "(aiv)", "aas", "ay", "s", "v"],
)
def test_large_ones(signature: str, value: Any) -> None:
    whole = message(signature, [value])
    told, count = text_of(whole)
    assert json.loads(told) == json.loads(json.dumps(whole.values()))
    assert count >= len(whole.body) // slices.PIECE_BYTES


@pytest.mark.parametrize(
    ("signature", "value"), [("s", "\x01" * 1_000_000), ("ay", bytes(1_000_000)), ("as", ["x"] * 1_000_000)]
)
def test_no_more_than_is_wanted(signature: str, value: Any) -> None:
    told, _ = text_of(message(signature, [value]), 100_000)
    assert 100_000 < len(told) < 100_000 + 6 * slices.PIECE_BYTES


@pytest.mark.parametrize("wrong", [b"\0", b"\xff", b"\xe2\x82", b"\xed\xa0\x80"], ids=str)
@pytest.mark.parametrize("place", [0, slices.PIECE_BYTES - 1, 200_000])
def test_long_strings_that_are_none(wrong: bytes, place: int) -> None:
    text = b"x" * place + wrong + b"x" * (200_000 - place)
    body = len(text).to_bytes(4, "little") + text
    for tail in (b"\0", b"x", b""):
        with pytest.raises(Malformed):
            text_of(Message(2, signature="s", body=body + tail))


def test_what_ends_too_soon() -> None:
    whole = message("aas", [[["x" * 100] * 1_000] * 10])
    for body in (whole.body[:-1], whole.body + b"\0", b"\xff" * 8 + whole.body[8:]):
        with pytest.raises(Malformed):
            text_of(whole._replace(body=body))


def test_entries_one_by_one() -> None:
    objects = {f"/o{number}": {"a.b": {"P": Variant("i", number)}} for number in range(10)}
    whole = message("a{oa{sa{sv}}}", [objects])
    assert list(entries(whole)) == [(f"/o{number}", {"a.b": {"P": number}}) for number in range(10)]
    with pytest.raises(Malformed):
        list(entries(whole._replace(body=whole.body[:-1])))
