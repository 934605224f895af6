"""Large bodies in pieces: the same JSON as at once."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given

from spanbridge.payloads.bus import gather, skipping, slices
from spanbridge.payloads.bus.gather import entries, values_of
from spanbridge.payloads.bus.marshal import marshal
from spanbridge.payloads.bus.message import Message
from spanbridge.payloads.bus.signature import Variant
from spanbridge.payloads.bus.slices import Text, encoder
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


LARGE = pytest.mark.parametrize(
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


@LARGE
def test_large_ones(signature: str, value: Any) -> None:
    whole = message(signature, [value])
    told, count = text_of(whole)
    assert json.loads(told) == json.loads(json.dumps(whole.values()))
    assert count >= len(whole.body) // skipping.PIECE_BYTES


@pytest.mark.parametrize(
    ("signature", "value"), [("s", "\x01" * 1_000_000), ("ay", bytes(1_000_000)), ("as", ["x"] * 1_000_000)]
)
def test_no_more_than_is_wanted(signature: str, value: Any) -> None:
    told, _ = text_of(message(signature, [value]), 100_000)
    assert 100_000 < len(told) < 100_000 + 6 * skipping.PIECE_BYTES


@pytest.mark.parametrize("wrong", [b"\0", b"\xff", b"\xe2\x82", b"\xed\xa0\x80"], ids=str)
@pytest.mark.parametrize("place", [0, skipping.PIECE_BYTES - 1, 200_000])
def test_long_strings_that_are_none(wrong: bytes, place: int) -> None:
    text = b"x" * place + wrong + b"x" * (200_000 - place)
    body = len(text).to_bytes(4, "little") + text
    for tail in (b"\0", b"x", b""):
        with pytest.raises(Malformed):
            text_of(Message(2, signature="s", body=body + tail))


def gathered(whole: Message) -> tuple[list[Any], int]:
    """The values of a body that is read a piece at a time, and how many pieces it had."""
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1

    reading = values_of(whole, cast(Any, SimpleNamespace(pause=pause)))
    try:
        reading.send(None)
    except StopIteration as stop:
        return stop.value, pauses
    raise AssertionError("it has waited")


@examples(80)
@given(BODIES)
def test_values_of_any_body(body: tuple[str, tuple[Any, ...]]) -> None:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(gather, "PIECE_BYTES", 8)
    monkeypatch.setattr(skipping, "PIECE_BYTES", 8)
    try:
        whole = message(*body)
        assert gathered(whole)[0] == whole.values(bare=True)
    finally:
        monkeypatch.undo()


@LARGE
def test_values_of_large_ones(signature: str, value: Any) -> None:
    whole = message(signature, [value])
    values, pauses = gathered(whole)
    assert values == whole.values(bare=True)
    assert signature in ("ay", "s", "v") or pauses >= len(whole.body) // (3 * skipping.PIECE_BYTES)


NESTED = (b"\1v\0" * 5_000 + b"\1s\0").ljust(15_004, b"\0")


def test_what_ends_too_soon_or_nests_too_deep() -> None:
    whole = message("aas", [[["x" * 100] * 1_000] * 10])
    wrong = [whole._replace(body=body) for body in (whole.body[:-1], whole.body + b"\0", b"\xff" * 8 + whole.body[8:])]
    text = (200_000).to_bytes(4, "little") + b"x" * 200_000 + b"\0"
    for each in (*wrong, Message(2, signature="v", body=NESTED + text)):
        with pytest.raises(Malformed):
            text_of(each)
        with pytest.raises(Malformed):
            gathered(each)


def test_entries_one_by_one() -> None:
    objects = {f"/o{number}": {"a.b": {"P": Variant("i", number)}} for number in range(10)}
    whole = message("a{oa{sa{sv}}}", [objects])
    assert list(entries(whole)) == [(f"/o{number}", {"a.b": {"P": number}}) for number in range(10)]
    with pytest.raises(Malformed):
        list(entries(whole._replace(body=whole.body[:-1])))
