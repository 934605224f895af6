"""Which rules no open gets to: against the matcher itself, on every text of a small alphabet."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.operator.contradiction import contradictions
from bridge.operator.reachability import covers, shadowed, wildcard_covers
from manifests.locate import find, outline
from manifests.match import RuleIndex
from manifests.wildcard import compile_wildcard

from ..manifests.manifest_tree import properties, rule

PATTERN = st.text("ab*?", max_size=4)
TEXTS = ["".join(each) for length in range(7) for each in product("abc", repeat=length)]
"""Long enough: two patterns of up to four signs that agree on all of these agree everywhere."""


@properties
@given(wide=PATTERN, narrow=PATTERN)
def test_wildcards(wide: str, narrow: str) -> None:
    takes, asks = compile_wildcard(wide), compile_wildcard(narrow)
    assert wildcard_covers(wide, narrow) == all(takes(text) for text in TEXTS if asks(text))


def test_wildcards_that_are_too_much_work() -> None:
    """Then nothing is claimed, and soon."""
    assert not wildcard_covers("*" + "?a?b" * 20, "*".join("?b" * 60))


VALUES: list[Any] = [None, "a", "b", "a*", "*", 1, 1.0, True, ["a"], ["b"], {}]
MATCH = st.dictionaries(st.sampled_from(["host", "x", "y"]), st.sampled_from(VALUES), max_size=2)
OF_OPENS: list[Any] = [..., None, "a", "ab", "b", "c", 1, True, ["a"], ["b"], {}]
OPENS: list[dict[str, Any]] = [
    {name: value for name, value in zip(("host", "x", "y"), values, strict=True) if value is not Ellipsis}
    for values in product(OF_OPENS, repeat=3)
]


@properties
@given(matches=st.lists(MATCH, max_size=5))
def test_rules(matches: list[dict[str, Any]]) -> None:
    """Each that is told of takes no open first; and each that one rule covers is told of, with the first that does."""
    rules = [rule(match, position=position) for position, match in enumerate(matches)]
    told = {each.rule.position: each.by.position for each in shadowed(rules)}
    index = RuleIndex(rules)
    reached = {index.find(message) for message in OPENS}
    assert not reached & told.keys()
    for position, match in enumerate(matches):
        by = [
            before
            for before in range(position)
            if covers(matches[before], match) and ("host" in matches[before]) == ("host" in match)
        ]
        assert told.get(position) == (by[0] if by else None)


def test_privileged_rules_take_no_opens() -> None:
    rules = [rule(None, privileged=True), rule({}), rule({}, privileged=False)]
    assert [each.by for each in shadowed(rules)] == [rules[1]]


def test_many_rules() -> None:
    """No test of each against each, which would not end."""
    rules = [rule({"payload": f"svc{number}", "n": number}, position=number) for number in range(20_000)]
    rules += [rule({"payload": f"*-{number}-x*y?"}, position=number) for number in range(20_000)]
    rules += [rule({"payload": "svc5", "n": 5.0, "more": None}, position=20_000)]
    found = list(shadowed(rules))
    assert [(each.rule.position, each.by.position) for each in found] == [(20_000, 5)]


CONDITIONS = st.recursive(
    st.builds(
        lambda predicate, path: {predicate: path},
        st.sampled_from(["path-exists", "path-not-exists"]),
        st.sampled_from(["/", "/a", "/a/b", "/c", ""]),
    ),
    lambda inner: st.builds(lambda each: {"any": each}, st.lists(inner, max_size=3)),
    max_leaves=5,
)
MACHINES = [{"/"}, {"/", "/a"}, {"/", "/a", "/a/b"}, {"/", "/c"}, {"/", "/a", "/c"}, {"/", "/a", "/a/b", "/c"}]


def holds(condition: dict[str, Any], files: set[str]) -> bool:
    ((predicate, value),) = condition.items()
    if predicate == "any":
        return any(holds(each, files) for each in value)
    return (value in files) == (predicate == "path-exists")


@properties
@given(conditions=st.lists(CONDITIONS, max_size=4))
def test_conditions_that_contradict_hold_nowhere(conditions: list[dict[str, Any]]) -> None:
    possible = any(all(holds(each, files) for each in conditions) for files in MACHINES)
    assert not (contradictions(conditions) and possible)


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
