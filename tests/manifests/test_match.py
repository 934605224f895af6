"""Matching (docs/manifests.md, "Matching") and the index, which must answer as if it asked each rule."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.match import Mismatch, RuleIndex, matches, mismatch
from spanbridge.manifests.model import Rule
from spanbridge.manifests.value import equal

from .manifest_tree import properties, rule
from .test_wildcard import obvious

UNSET = msgspec.UNSET


@pytest.mark.parametrize(
    ("wanted", "fits", "does_not"),
    [
        (None, [None, False, 0, "", "x", [], {}], []),
        ("x", ["x"], ["", "X", "xx", None, True, 1, ["x"], {"x": "x"}]),
        ("", [""], ["x", None, 0, False]),
        ("x*", ["x", "xy", "x\ny"], ["", "yx", None, 5, ["x"]]),
        ("*", ["", "x"], [None, 5, True, [], {}]),
        ("?", ["x"], ["", "xy", 5]),
        ("5", ["5"], [5]),
        ("[ab]", ["[ab]"], ["a"]),
        (True, [True], [False, 1, "true", None, 1.0]),
        (False, [False], [True, 0, "", None, 0.0]),
        (1, [1, 1.0], [True, "1", 2, None, [1]]),
        (1.0, [1, 1.0], [True, 1.5]),
        (0, [0, -0.0], [False, None, ""]),
        (2**70, [2**70, float(2**70)], [2**70 + 1]),
        ([], [[]], [{}, "", None, False]),
        ([1, "a"], [[1.0, "a"]], [["a", 1], [True, "a"], [1], [1, "a", 2], "1a"]),
        (["x*"], [["x*"]], [["xy"]]),
        ([None], [[None]], [[0], ["x"], []]),
        ({}, [{}], [[], None, {"a": 1}]),
        ({"a": {"b": [1]}, "c": 2}, [{"c": 2, "a": {"b": [1.0]}}], [{"a": {"b": [True]}, "c": 2}, {"c": 2}]),
        ({"a": None}, [{"a": None}], [{}, {"b": None}, {"a": 0}]),
    ],
)
def test_one_member(wanted: Any, fits: list[Any], does_not: list[Any]) -> None:
    wants = rule({"m": wanted})
    index = RuleIndex([wants])
    for value in fits:
        assert matches(wants, {"m": value}), value
        assert list(index.candidates({"m": value})) == [wants], value
    for value in does_not:
        assert mismatch(wants, {"m": value}) == Mismatch("m", wanted, value)
        assert list(index.candidates({"m": value})) == [], value
    assert mismatch(wants, {"n": 1}) == Mismatch("m", wanted, UNSET)
    assert list(index.candidates({})) == []


def test_every_member_must_be_satisfied_and_the_open_may_have_more() -> None:
    wants = rule({"payload": "x", "tag": None, "n": 5})
    assert matches(wants, {"payload": "x", "tag": None, "n": 5, "more": 1})
    assert mismatch(wants, {"payload": "x", "tag": None, "n": 6}) == Mismatch("n", 5, 6)
    assert mismatch(wants, {"payload": "x", "n": 5}) == Mismatch("tag", None, UNSET)
    assert mismatch(wants, {}) == Mismatch("payload", "x", UNSET)


class TestHosts:
    def test_an_empty_match_takes_every_open_of_this_host(self) -> None:
        everything = rule({})
        assert matches(everything, {})
        assert matches(everything, {"payload": "x", "user": "u"})
        assert mismatch(everything, {"payload": "x", "host": "h"}) == Mismatch("host", UNSET, "h")

    @pytest.mark.parametrize(
        ("match", "taken"),
        [({"host": None}, True), ({"host": "h"}, True), ({"host": "x"}, False), ({"a": None}, False)],
    )
    def test_an_open_for_another_host_goes_to_rules_that_name_host(self, match: dict[str, Any], taken: bool) -> None:
        message = {"host": "h", "a": 1}
        assert matches(rule(match), message) == taken
        assert list(RuleIndex([rule({}), rule(match)]).candidates(message)) == ([rule(match)] if taken else [])

    def test_a_rule_that_names_host_takes_no_open_of_this_one(self) -> None:
        assert list(RuleIndex([rule({"host": None})]).candidates({"payload": "x"})) == []


def test_a_privileged_rule_takes_no_open() -> None:
    superuser = rule(None, privileged=True)
    assert mismatch(superuser, {}) == Mismatch("privileged", False, True)
    assert list(RuleIndex([superuser, rule({})]).candidates({})) == [rule({})]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Mismatch("a", "x", "y"), 'a: wanted string "x", got string "y"'),
        (Mismatch("a", None, UNSET), "a: wanted any value, got nothing"),
        (Mismatch("a", 1, True), "a: wanted number 1, got true"),
        (
            Mismatch("host", UNSET, "h"),
            'host: wanted none, since a rule that does not name it serves this host alone, got string "h"',
        ),
    ],
)
def test_a_mismatch_in_words(found: Mismatch, text: str) -> None:
    assert str(found) == text


VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, 2.5, 2**70, "", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
STRINGS = st.text("ab", max_size=4)
PATTERNS = st.text("ab*?", max_size=4)
MEMBERS = st.sampled_from(["a", "b", "c", "host"])
MATCHES = st.dictionaries(MEMBERS, VALUES | PATTERNS, max_size=3)
OPENS = st.dictionaries(MEMBERS | st.sampled_from("defgh"), VALUES | STRINGS, max_size=6)


def canonical(value: Any) -> Any:
    """Equal for equal JSON values, and for no others."""
    match value:
        case bool() | None:
            return str(value), None
        case str():
            return "text", value
        case int() | float():
            return "number", Fraction(value)
        case list():
            return "list", [canonical(inner) for inner in value]
        case _:
            return "object", sorted((name, canonical(inner)) for name, inner in value.items())


def takes(wants: Rule, message: Mapping[str, Any]) -> bool:
    """The rules of matching, said plainly."""
    assert wants.match is not None
    if "host" in message and "host" not in wants.match:
        return False
    for member, wanted in wants.match.items():
        if member not in message:
            return False
        got = message[member]
        if isinstance(wanted, str):
            if not (isinstance(got, str) and obvious(wanted, got)):
                return False
        elif wanted is not None and canonical(wanted) != canonical(got):
            return False
    return True


@properties
@given(VALUES, VALUES)
def test_equality(a: Any, b: Any) -> None:
    assert equal(a, b) == (canonical(a) == canonical(b))
    assert equal(a, a)


@properties
@given(st.lists(MATCHES, max_size=25), st.lists(OPENS, min_size=1, max_size=10))
def test_the_index_against_asking_each_rule(wanted: list[dict[str, Any]], opens: list[dict[str, Any]]) -> None:
    rules = [rule(match, position=position) for position, match in enumerate(wanted)]
    index = RuleIndex(rules)
    for message in opens:
        expected = [one for one in rules if takes(one, message)]
        assert list(index.candidates(message)) == expected
        assert [one for one in rules if matches(one, message)] == expected


@properties
@given(st.lists(MATCHES, max_size=10), OPENS)
def test_finding_them_one_by_one(wanted: list[dict[str, Any]], message: dict[str, Any]) -> None:
    index = RuleIndex([rule(match, position=position) for position, match in enumerate(wanted)])
    expected = [found.position for found in index.candidates(message)]
    for after in range(-1, len(wanted)):
        position = index.find(message, after)
        assert position == next((one for one in expected if one > after), -1)
        assert position < 0 or index.rule(position).position == position


class CountingOpen(Mapping[str, Any]):
    """An open that counts how often it is asked for anything."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members
        self.asked = 0

    def __getitem__(self, member: str) -> Any:
        self.asked += 1
        return self._members[member]

    def __contains__(self, member: object) -> bool:
        self.asked += 1
        return member in self._members

    def __iter__(self) -> Iterator[str]:
        for member in self._members:
            self.asked += 1
            yield member

    def __len__(self) -> int:
        return len(self._members)


def one_payload_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"payload": f"p{number}"}, {"payload": f"p{number}", "channel": "a"}


def one_tag_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"payload": "p", "tag": f"t{number}"}, {"payload": "p", "tag": f"t{number}"}


def one_number_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"payload": "p", "n": number}, {"payload": "p", "n": float(number)}


def one_member_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {f"m{number}": None}, {"payload": "p", f"m{number}": 5}


def one_payload_one_member_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"payload": "p", f"m{number}": None}, {"payload": "p", f"m{number}": 5}


def one_prefix_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"unit": f"svc{number}-*"}, {"payload": "p", "unit": f"svc{number}-x"}


def one_suffix_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"host": f"*.h{number}.example"}, {"payload": "p", "host": f"www.h{number}.example"}


def one_wildcard_in_the_middle_each(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"path": f"/srv/{number}/*/data"}, {"path": f"/srv/{number}/x/data"}


@pytest.mark.parametrize(
    "shape",
    [
        one_payload_each,
        one_tag_each,
        one_number_each,
        one_member_each,
        one_payload_one_member_each,
        one_prefix_each,
        one_suffix_each,
        one_wildcard_in_the_middle_each,
    ],
)
def test_ten_thousand_rules_ask_an_open_no_more_than_one_does(shape: Any) -> None:
    def asked(count: int) -> int:
        rules = [rule(shape(number)[0], position=number) for number in range(count)]
        message = CountingOpen(shape(count - 1)[1])
        assert list(RuleIndex(rules).candidates(message)) == [rules[-1]]
        return message.asked

    assert asked(10_000) <= asked(1) + 4


def test_an_open_of_thousands_of_members_is_asked_only_for_those_that_rules_name() -> None:
    rules = [rule({"payload": f"p{number}", "tag": None}, position=number) for number in range(1000)]
    message = CountingOpen({"payload": "p5", "tag": 1, **{f"m{number}": number for number in range(5000)}})
    assert list(RuleIndex(rules).candidates(message)) == [rules[5]]
    assert message.asked < 10


def test_the_first_of_many_is_found_without_the_others() -> None:
    rules = [rule({"payload": "p"}, position=number) for number in range(10_000)]
    rules += [rule({f"m{number}": None}, position=number) for number in range(2000)]
    message = CountingOpen({"payload": "p"})
    index = RuleIndex(rules)
    assert next(index.candidates(message)) == rules[0]
    assert message.asked < 10
    assert list(islice(index.candidates({"payload": "p", "m1": 1}), 10_000, None)) == [rules[10_001]]


def test_rules_of_different_kinds_keep_their_order() -> None:
    matchers: list[dict[str, Any]] = [{}, {"a": "x"}, {"a": "x*"}, {"a": None}, {"b": 1}, {"a": "*x"}, {"a": "?"}, {}]
    rules = [rule(match, position=position) for position, match in enumerate(matchers)]
    for order in (rules, rules[::-1]):
        assert list(RuleIndex(order).candidates({"a": "x", "b": 1.0})) == order
