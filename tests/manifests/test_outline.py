"""Where all members of a document stand: as the search for one says, and names that stand there twice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.locate import find, outline

from .manifest_tree import properties

JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@properties
@given(value=JSON, indent=st.sampled_from([None, 1]))
def test_the_outline_agrees_with_the_search(value: Any, indent: int | None) -> None:
    data = json.dumps(value, indent=indent).encode()
    found = outline(data)
    assert found.twice == []
    assert {path: find(data, path) for path in found.places} == found.places
    assert set(found.places) == set(paths(value))


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *[path for step, each in inner for path in paths(each, (*here, step))]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"a": 1, "a": 2}', [("a",)]),
        ('{"a": {"x": 1}, "a": {"x": 1}}', [("a",)]),
        ('{"a": [{"x": 1, "y": 2, "x": 3}, {"x": 1}]}', [("a", 0, "x")]),
        ('{"a": {"a": {"a": 1}}, "b": {"a": 1}}', []),
        ('{"a": 1, "\\u0061": 2}', [("a",)]),
    ],
)
def test_names_twice(text: str, names: list[Any]) -> None:
    assert [path for path, _, _ in outline(text.encode()).twice] == names
