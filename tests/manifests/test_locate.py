"""Places in JSON text, held against the standard library's decoder."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.locate import children, elements, find, line_and_column

from .manifest_tree import properties

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"\\[]{}:, \nä', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\[:', max_size=2), inner, max_size=3),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([None, 0, 2, "\t"])


def every_path(value: Any) -> list[tuple[tuple[str | int, ...], Any]]:
    found: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        found += [((step, *path), deep) for path, deep in every_path(inner)]
    return found


@properties
@given(JSON, LAYOUTS, st.booleans())
def test_every_member_is_found_where_it_stands(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = "\n " + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    data = text.encode()
    decoder = json.JSONDecoder()
    for path, expected in every_path(value):
        here = data[find(data, path) :].decode()
        if path and isinstance(path[-1], str):
            name, end = decoder.raw_decode(here)
            assert name == path[-1]
            here = here[end:].lstrip().removeprefix(":").lstrip()
        assert decoder.raw_decode(here)[0] == expected


@properties
@given(JSON, LAYOUTS, JSON)
def test_elements_of_a_member(value: Any, indent: int | str | None, other: Any) -> None:
    document = {"before": other, "list": [value, other, value], "after": [value, other, value]}
    data = json.dumps(document, indent=indent).encode()
    expected = [child.value for child in children(data, data.index(b'"list"') + 7)]
    assert list(elements(data, "list")) == expected
    del document["after"]
    data = json.dumps(document, indent=indent).encode()
    decoder = json.JSONDecoder()
    assert [decoder.raw_decode(data[at:].decode())[0] for at in elements(data, "list")] == [value, other, value]


@properties
@given(st.binary(max_size=40) | st.text('{}[]",:\\ a1', max_size=40).map(str.encode))
def test_any_bytes_will_do(data: bytes) -> None:
    assert 0 <= find(data, ("a", 1, "")) <= len(data)
    for child in children(data, 0):
        assert 0 <= child.place <= child.value < len(data)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("gone",), "{"),
        (("a", 5), '"a"'),
        (("a", 1, "x"), '"b"'),
        (("a", "x"), '"a"'),
        (("a", 0, "c", 0), '"c"'),
    ],
)
def test_what_is_not_there_is_looked_for_around_it(path: tuple[str | int, ...], expected: str) -> None:
    data = b'{"z": 1, "a": [{"c": 1}, "b"]}'
    assert data[find(data, path) :].startswith(expected.encode())


def test_of_two_members_with_one_name_the_last() -> None:
    data = b'{"a": [1], "\\u0061": [2, 3]}'
    assert data[find(data, ("a",)) :].startswith(b'"\\u0061"')
    assert data[find(data, ("a", 1)) :].startswith(b"3")


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, (1, 1)), (1, (1, 2)), (3, (2, 1)), (5, (2, 2)), (6, (2, 3)), (7, (3, 1))],
)
def test_line_and_column(offset: int, expected: tuple[int, int]) -> None:
    assert line_and_column("ab\näb\nc".encode(), offset) == expected


def test_deep_and_long_text_costs_no_more_than_a_look_at_it() -> None:
    assert find(b"[" * 1_000_000, (0,)) == 1
    assert find(b'{"a": "' + b'\\"' * 500_000, ("b",)) == 0
    assert list(children(b'"' * 1_000_000, 0)) == []
    assert find(b'{"' * 500_000, ("b",)) == 0
