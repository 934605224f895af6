"""Values as bytes and back, beside dbus-fast's encoder and decoder."""

import contextlib
import io
import json
import struct
from typing import Any

import dbus_fast
import msgspec
import pytest
from dbus_fast._private.marshaller import Marshaller
from dbus_fast._private.unmarshaller import Unmarshaller
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.marshal import TooMuch, marshal
from spanbridge.payloads.bus.message import Message, read_head, read_message, write_message
from spanbridge.payloads.bus.signature import Type, Variant, type_of, types_of
from spanbridge.payloads.bus.unmarshal import Handle, Malformed, unmarshal
from spanbridge.payloads.bus.values import many_to_json

from ..bus.test_values import PATHS, SIGNATURES, values_of
from ..protocol.determined import examples


def for_dbus_fast(kind: Type, value: Any) -> Any:
    """A value as dbus-fast has it: the same, but for its own variants."""
    match kind.code:
        case "v":
            return dbus_fast.Variant(
                value.signature, for_dbus_fast(type_of(value.signature), value.value), verify=False
            )
        case "(":
            return [for_dbus_fast(inner, member) for inner, member in zip(kind.inner, value, strict=True)]
        case "a" if kind.inner[0].code == "{":
            return {key: for_dbus_fast(kind.inner[0].inner[1], member) for key, member in value.items()}
        case "a" if kind.inner[0].code != "y":
            return [for_dbus_fast(kind.inner[0], member) for member in value]
    return value


BODIES = st.lists(SIGNATURES, max_size=3).flatmap(
    lambda signatures: st.tuples(
        st.just("".join(signatures)), st.tuples(*(values_of(type_of(each)) for each in signatures))
    )
)


@examples(80)
@given(BODIES)
def test_the_bytes_are_those_of_dbus_fast(body: tuple[str, tuple[Any, ...]]) -> None:
    signature, values = body
    kinds = types_of(signature)
    theirs = [for_dbus_fast(kind, value) for kind, value in zip(kinds, values, strict=True)]
    data = marshal(signature, values)
    assert data == Marshaller(signature, theirs).marshall()
    assert unmarshal(signature, data) == many_to_json(kinds, values)


@examples(80)
@given(BODIES, PATHS, st.integers(1, 2**32 - 1))
def test_messages_are_read_as_dbus_fast_reads_them(body: tuple[str, tuple[Any, ...]], path: str, serial: int) -> None:
    signature, values = body
    data = write_message(wire.call(path, "a.b", "C", signature, values, destination=":1.5"), serial)
    theirs = Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[arg-type]
    assert theirs is not None
    assert (theirs.path, theirs.interface, theirs.member, theirs.destination) == (path, "a.b", "C", ":1.5")
    assert (theirs.serial, theirs.signature) == (serial, signature)
    ours, fds = read_message(data, read_head(data, 0))
    assert (ours.path, ours.interface, ours.member, ours.destination) == (path, "a.b", "C", ":1.5")
    assert (ours.serial, ours.signature, fds) == (serial, signature, 0)
    assert ours.values() == many_to_json(types_of(signature), values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("signature", "form", "numbers", "told"),
    [
        ("ynqiuxt", "BxhHxxiIqQ", (1, -2, 3, -4, 5, -6, 2**64 - 1), [1, -2, 3, -4, 5, -6, 2**64 - 1]),
        ("bd", "Ixxxxd", (1, 0.5), [True, 0.5]),
        ("ddd", "ddd", (float("nan"), float("inf"), float("-inf")), [None, None, None]),
        ("s", "I2sx", (2, b"ab"), ["ab"]),
        ("ay", "I3s", (3, b"abc"), ["YWJj"]),
        ("h", "I", (7,), [Handle(7)]),
        ("a{yv}", "IxxxxBB1sxI", (8, 5, 1, b"u", 9), [{"5": {"t": "u", "v": 9}}]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_both_byte_orders(order: str, signature: str, form: str, numbers: tuple[Any, ...], told: list[Any]) -> None:
    assert unmarshal(signature, struct.pack(order + form, *numbers), order) == told


def test_the_outermost_variants_may_be_told_bare() -> None:
    values = [{"a": Variant("a{sv}", {"b": Variant("i", 1)}), "c": Variant("v", Variant("s", "x"))}]
    data = marshal("a{sv}", values)
    assert unmarshal("a{sv}", data, bare=True) == [{"a": {"b": {"t": "i", "v": 1}}, "c": {"t": "s", "v": "x"}}]
    assert unmarshal("a{sv}", data) == many_to_json(types_of("a{sv}"), values)


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("s", b""),
        ("s", b"\5\0\0\0abc\0"),
        ("s", b"\3\0\0\0abcd"),
        ("s", b"\xff\xff\xff\xffabc\0"),
        ("s", b"\3\0\0\0a\0b\0"),
        ("s", b"\2\0\0\0\xff\xfe\0"),
        ("o", b"\1\0\0\0a\0"),
        ("g", b"\1(\0"),
        ("g", b"\1i"),
        ("b", b"\2\0\0\0"),
        ("y", b"\1\1"),
        ("", b"\1"),
        ("as", b"\x09\0\0\0\1\0\0\0a\0\0\0\0"),
        ("as", b"\5\0\0\0\1\0\0\0a\0\0"),
        ("as", b"\xf0\xff\xff\xff\1\0\0\0a\0"),
        ("at", b"\1\0\0\0\0\0\0\0\1"),
        ("ay", b"\xff\xff\xff\xffabc"),
        ("v", b"\0\0"),
        ("v", b"\2ii\0\0\0\0\0"),
        ("v", b"\1z\0"),
        ("v", b"\xffi\0"),
        ("a{sv}", b"\4\0\0\0\0\0\0\0\1\0\0\0"),
    ],
)
def test_what_is_no_body(signature: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        unmarshal(signature, body)


@examples(150)
@given(SIGNATURES, st.binary(max_size=80))
def test_any_bytes_are_a_value_or_malformed(signature: str, data: bytes) -> None:
    with contextlib.suppress(Malformed):
        json.loads(msgspec.json.encode(unmarshal(signature, data)))


def nested(levels: int) -> Variant:
    """A value within so many variants."""
    value = Variant("i", 1)
    for _ in range(levels - 1):
        value = Variant("v", value)
    return value


def test_values_nest_so_deep_and_no_deeper() -> None:
    data = marshal("v", [nested(64)])
    assert unmarshal("v", data)
    with pytest.raises(TooMuch, match="64 levels"):
        marshal("v", [nested(65)])
    with pytest.raises(Malformed, match="64 levels"):
        unmarshal("v", b"\1v\0" + data)
    with pytest.raises(Malformed, match="64 levels"):
        unmarshal("v", b"\1v\0" * 1_000_000)


def test_an_array_has_64_mib_at_most() -> None:
    assert len(marshal("ay", [bytes(64 << 20)])) == (64 << 20) + 4
    with pytest.raises(TooMuch, match="an array of"):
        marshal("ay", [bytes((64 << 20) + 1)])
    with pytest.raises(TooMuch, match="a message of"):
        write_message(wire.call("/", "a.b", "C", "ayay", [bytes(64 << 20)] * 2), 1)


def whole(**changes: Any) -> bytes:
    return write_message(Message(**{"kind": wire.SIGNAL, "path": "/", "interface": "a.b", "member": "C", **changes}), 1)


@pytest.mark.parametrize(
    "data",
    [
        b"X" * 16,
        b"l\0" + whole()[2:],
        whole()[:3] + b"\2" + whole()[4:],
        whole()[:8] + bytes(4) + whole()[12:],
        whole()[:4] + b"\xff\xff\xff\xff" + whole()[8:],
        whole()[:12] + b"\xff\xff\xff\xff" + whole()[16:],
    ],
    ids=["order", "type", "version", "serial", "body", "fields"],
)
def test_what_is_no_beginning_of_a_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_head(data, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": None},
        {"member": None},
        {"interface": None},
        {"interface": "a"},
        {"member": "a.b"},
        {"destination": "a"},
        {"kind": wire.ERROR},
        {"kind": wire.REPLY},
        {"kind": wire.ERROR, "error": "a.b"},
        {"kind": wire.ERROR, "answers": 5},
        {"kind": wire.CALL, "path": None},
        {"kind": wire.CALL, "member": None},
    ],
    ids=str,
)
def test_a_message_without_what_it_needs(changes: dict[str, Any]) -> None:
    data = whole(**changes)
    with pytest.raises(Malformed):
        read_message(data, read_head(data, 0))


def test_a_message_of_a_later_version_of_the_protocol() -> None:
    """A type that nobody knows is no fault; nor is a field."""
    data = bytearray(whole(kind=9))
    message, _ = read_message(bytes(data), read_head(data, 0))
    assert message.kind == 9
    data[16] = 77  # what was the path
    message, _ = read_message(bytes(data), read_head(data, 0))
    assert message.path is None
