"""D-Bus values as JSON (docs/internal-bus.md, "Values")."""

import base64
import contextlib
import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.member import MemberError, spell
from spanbridge.payloads.bus.signature import SignatureError, Type, Variant, is_below, is_path, type_of, types_of
from spanbridge.payloads.bus.values import as_utf8, from_json, many_from_json, many_to_json, to_json

from ..protocol.determined import examples

BOUNDS = {
    "y": (0, 255),
    "n": (-32_768, 32_767),
    "q": (0, 65_535),
    "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1),
    "x": (-(2**63), 2**63 - 1),
    "t": (0, 2**64 - 1),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
PATHS = st.lists(st.text(string.ascii_letters + string.digits + "_", min_size=1), max_size=4).map(
    lambda names: "/" + "/".join(names)
)
BASIC = st.sampled_from("bdsog" + "".join(BOUNDS))

SIGNATURES = st.recursive(
    BASIC | st.just("v"),
    lambda inner: st.one_of(
        inner.map("a{}".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda members: f"({''.join(members)})"),
        st.tuples(BASIC, inner).map(lambda entry: f"a{{{entry[0]}{entry[1]}}}"),
    ),
    max_leaves=6,
)


def values_of(kind: Type) -> st.SearchStrategy[Any]:
    """Any value of a type, as a program has it."""
    code = kind.code
    if code in BOUNDS:
        return st.integers(*BOUNDS[code])
    if code == "(":
        return st.tuples(*map(values_of, kind.inner))
    if code == "a":
        (inner,) = kind.inner
        if inner.code == "{":
            return st.dictionaries(*map(values_of, inner.inner), max_size=3)
        return st.binary() if inner.code == "y" else st.lists(values_of(inner), max_size=3)
    if code == "v":
        signatures = st.sampled_from(["i", "s", "as", "v", "a{sv}", "(bd)"])
        return signatures.flatmap(lambda text: values_of(type_of(text)).map(lambda value: Variant(text, value)))
    return {
        "b": st.booleans(),
        "d": st.floats(allow_nan=False, allow_infinity=False),
        "s": TEXT,
        "o": PATHS,
        "g": SIGNATURES,
    }[code]


@examples(60)
@given(st.data())
def test_any_value_comes_back_as_it_was(data: st.DataObject) -> None:
    kind = type_of(data.draw(SIGNATURES))
    value = data.draw(values_of(kind))
    told = msgspec.json.encode(to_json(kind, value))
    assert from_json(kind, msgspec.json.decode(told)) == value
    assert json.loads(told) == msgspec.json.decode(told)  # it is JSON to others, too


@examples(60)
@given(st.lists(SIGNATURES, max_size=4))
def test_a_signature_is_the_texts_of_its_types(signatures: list[str]) -> None:
    text = "".join(signatures)
    if len(text) <= 255:
        assert [kind.text for kind in types_of(text)] == signatures


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.sampled_from(["t", "v"]), inner, max_size=3),
    max_leaves=8,
)


@examples(60)
@given(SIGNATURES, JSON)
def test_any_json_is_a_value_or_an_error(signature: str, value: Any) -> None:
    kind = type_of(signature)
    with contextlib.suppress(MemberError):
        found = from_json(kind, value)
        assert from_json(kind, msgspec.json.decode(msgspec.json.encode(to_json(kind, found)))) == found


@pytest.mark.parametrize(
    ("signature", "value", "told"),
    [
        ("i", 5, 5),
        ("d", 5, 5),
        ("d", 0.5, 0.5),
        ("b", True, True),
        ("s", "ä", "ä"),
        ("ay", b"\x00\xff", "AP8="),
        ("ay", b"", ""),
        ("as", ["a"], ["a"]),
        ("(is)", (1, "a"), [1, "a"]),
        ("a(is)", [(1, "a")], [[1, "a"]]),
        ("a{sv}", {"a": Variant("i", 1)}, {"a": {"t": "i", "v": 1}}),
        ("a{is}", {-1: "a"}, {"-1": "a"}),
        ("a{bs}", {True: "a"}, {"true": "a"}),
        ("a{ds}", {0.5: "a"}, {"0.5": "a"}),
        ("v", Variant("aay", [b"a"]), {"t": "aay", "v": ["YQ=="]}),
        ("v", Variant("v", Variant("s", "a")), {"t": "v", "v": {"t": "s", "v": "a"}}),
    ],
)
def test_values_and_what_stands_for_them(signature: str, value: Any, told: Any) -> None:
    kind = type_of(signature)
    assert to_json(kind, value) == told
    assert from_json(kind, told) == value


@pytest.mark.parametrize(
    ("signature", "value", "error"),
    [
        ("i", True, "found true, expected a whole number from -2147483648 to 2147483647 (i)"),
        ("i", 1.5, "found number 1.5"),
        ("i", 2.0**31, "found number 2147483648"),
        ("i", "1", 'found string "1"'),
        ("t", "-1", 'found string "-1"'),
        ("x", "9223372036854775808", 'found string "9223372036854775808"'),
        ("x", " 1", 'found string " 1"'),
        ("x", "\N{ARABIC-INDIC DIGIT ONE}", "found string"),
        ("s", "a\ud800", "a string with a lone surrogate"),
        ("h", 0, "a descriptor (h) cannot be sent"),
        ("y", 256, "from 0 to 255 (y)"),
        ("t", -1, "found number -1"),
        ("x", 2**63, "found number 9223372036854775808"),
        ("b", 1, "found number 1, expected true or false"),
        ("d", "1", 'found string "1", expected a number (d)'),
        ("d", True, "found true"),
        ("d", 10**400, "expected a number (d)"),
        ("s", None, "found null, expected a string (s)"),
        ("s", "a\0b", "a string with a NUL"),
        ("o", "a", "expected an object path (o)"),
        ("o", "/a/", "expected an object path (o)"),
        ("g", "a", "is no signature: position 1 does not begin a type"),
        ("ay", "&", "expected a string in base64 (ay)"),
        ("ay", "YQ", "expected a string in base64 (ay)"),
        ("ay", [1], "expected a string in base64 (ay)"),
        ("as", "a", "expected a list (as)"),
        ("as", ["a", 1], "[1]: found number 1"),
        ("(is)", [1], "found 1 values, expected 2 (is)"),
        ("(is)", {}, "found an empty object, expected a list of 2"),
        ("a{ss}", [], "expected an object (a{ss})"),
        ("a{si}", {"a b": "c"}, '["a b"]: found string "c"'),
        ("a{is}", {"x": "a"}, 'found string "x", expected the JSON text of a key (i)'),
        ("a{ys}", {"256": "a"}, "256: found number 256"),
        ("a{bs}", {"True": "a"}, 'found string "True"'),
        ("v", 5, 'found number 5, expected an object with "t", a signature, and "v", a value (v)'),
        ("v", {"t": "i"}, "found an object, expected"),
        ("v", {"t": 5, "v": 5}, "t: found number 5"),
        ("v", {"t": "ii", "v": 5}, 't: found string "ii", expected a signature of one complete type'),
        ("v", {"t": "", "v": 5}, "expected a signature of one complete type"),
        ("v", {"t": "a{sv}", "v": {"a": {"t": "i", "v": "b"}}}, 'v.a.v: found string "b"'),
    ],
)
def test_what_is_no_value_of_the_type(signature: str, value: Any, error: str) -> None:
    with pytest.raises(MemberError) as caught:
        from_json(type_of(signature), value)
    assert error in f"{spell(caught.value.path)}: {caught.value.message}"


@pytest.mark.parametrize(
    "signature",
    ["a", "(", "()", "(i", "i)", "{sv}", "a{s}", "a{sss}", "a{vs}", "a{(i)s}", "a{asi}", "z", "a{s", "é"],
)
def test_what_is_no_signature(signature: str) -> None:
    with pytest.raises(SignatureError, match="is no signature: position"):
        types_of(signature)


def test_signatures_have_limits() -> None:
    assert type_of("a" * 32 + "i").text == "a" * 32 + "i"
    assert type_of("(" * 32 + "i" + ")" * 32)
    assert len(types_of("i" * 255)) == 255
    for signature in ("a" * 33 + "i", "(" * 33 + "i" + ")" * 33, "i" * 256, "a" * 250 + "i", "(" * 250):
        with pytest.raises(SignatureError):
            types_of(signature)
    for signature in ("", "ii"):
        with pytest.raises(SignatureError, match="expected a signature of one complete type"):
            type_of(signature)


def test_variants_nest_so_deep_and_no_deeper() -> None:
    value: Any = {"t": "i", "v": 1}
    for _ in range(63):
        value = {"t": "v", "v": value}
    assert from_json(type_of("v"), value)
    with pytest.raises(MemberError, match="nested deeper than 64 levels"):
        from_json(type_of("v"), {"t": "v", "v": value})


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("i", "1"),
        ("i", 2**31),
        ("b", 1),
        ("d", float("nan")),
        ("d", float("inf")),
        ("s", 5),
        ("s", b"a"),
        ("s", "\udce9"),
        ("s", "a\0"),
        ("ay", "text"),
        ("as", "abc"),
        ("a{ss}", [("a", "b")]),
        ("(ii)", (1,)),
        ("v", 5),
        ("v", Variant("i", "a")),
        ("v", Variant("ii", 1)),
        ("o", "no path"),
    ],
)
def test_a_program_that_gives_a_wrong_value_is_told_so(signature: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        to_json(type_of(signature), value)


@pytest.mark.parametrize(
    ("signature", "told", "value"),
    [
        ("i", 5.0, 5),
        ("y", 255.0, 255),
        ("x", "-9223372036854775808", -(2**63)),
        ("t", "18446744073709551615", 2**64 - 1),
    ],
)
def test_numbers_may_be_written_otherwise(signature: str, told: Any, value: int) -> None:
    found = from_json(type_of(signature), told)
    assert found == value
    assert type(found) is int


def test_several_values() -> None:
    kinds = types_of("sas")
    assert many_to_json(kinds, ("a", ["b"])) == ["a", ["b"]]
    assert many_from_json(kinds, ["a", ["b"]]) == ["a", ["b"]]
    with pytest.raises(MemberError, match="found 1 values, expected none"):
        many_from_json((), [1])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        many_to_json(kinds, ("a",))


@examples(60)
@given(st.binary())
def test_bytes_are_plain_base64(data: bytes) -> None:
    assert to_json(type_of("ay"), data) == base64.b64encode(data).decode()


@pytest.mark.parametrize("path", ["/", "/a", "/a/b_1"])
def test_paths(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize("path", ["", "a", "a/b", "/a/", "//", "/a//b", "/a-b", "/ä", "/a.b", " /a"])
def test_what_is_no_path(path: str) -> None:
    assert not is_path(path)


@examples(60)
@given(PATHS, PATHS)
def test_below_is_a_matter_of_whole_names(path: str, namespace: str) -> None:
    inner = [name for name in path.split("/") if name]
    outer = [name for name in namespace.split("/") if name]
    assert is_below(path, namespace) == (inner[: len(outer)] == outer)


def test_text_of_the_system_that_is_no_utf_8() -> None:
    assert as_utf8(b"caf\xe9".decode(errors="surrogateescape")) == "caf\N{REPLACEMENT CHARACTER}"
    assert as_utf8("café") == "café"
