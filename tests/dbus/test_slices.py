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


def text_of(whole: Message) -> tuple[bytes, int]:
    """The text, and in how many pieces it came."""
    text = Text(whole, encoder(str))
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
        ("ay", bytes(1_000_000)),
    ],
    ids=["a{sv}", "a{sv} of a(sss)", "a(ssssv)", "(aiv)", "aas", "ay"],
)
def test_large_ones(signature: str, value: Any) -> None:
    whole = message(signature, [value])
    told, count = text_of(whole)
    assert json.loads(told) == json.loads(json.dumps(whole.values()))
    assert signature == "ay" or count >= len(whole.body) // slices.PIECE_BYTES


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
