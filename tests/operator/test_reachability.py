"""Which rules no open gets to: against the matcher itself, on every text of a small alphabet."""

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.wildcard import compile_wildcard
from spanbridge.operator.checking.reachability import covers, shadowed, wildcard_covers

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


VALUES: list[Any] = [None, "a", "b", "a*", "*", "a*b?", 1, 1.0, True, ["a"], ["b"], [1], [True], {}, {"a": 1}]
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
    rules = [rule({"payload": f"svc{number}", "n": number}, position=number) for number in range(8_000)]
    rules += [rule({"payload": f"*-{number}-x*y?"}, position=number) for number in range(8_000)]
    rules += [rule({"payload": "svc5", "n": 5.0, "more": None}, position=8_000)]
    found = list(shadowed(rules))
    assert [(each.rule.position, each.by.position) for each in found] == [(8_000, 5)]


def test_many_rules_that_differ_in_objects() -> None:
    matches: list[dict[str, Any]] = [{"payload": {"unit": number}} for number in range(4_000)]
    matches += [{f"member{number}": None} for number in range(4_000)]
    matches += [{"payload": {"unit": 5.0}, "more": True}, {"payload": {"unit": True}}, {"member7": "x"}]
    assert found_among(matches) == [(8_000, 5), (8_002, 4_007)]


def test_many_rules_that_differ_in_one_of_several_texts() -> None:
    matches: list[dict[str, Any]] = [{"payload": f"x*-{number}-*-service"} for number in range(4_000)]
    matches += [{"payload": "xy-17-*z-service"}, {"payload": "xy-17-service"}]
    assert found_among(matches) == [(4_000, 17)]


def test_many_rules_that_share_each_member_with_many() -> None:
    matches: list[dict[str, Any]] = [
        {name: number // 9**place % 9 for place, name in enumerate("abcd")} for number in range(9**4)
    ]
    matches += [{"d": 0, "a": 1, "b": 2, "c": 3, "e": None}, {"a": 1}]
    assert found_among(matches) == [(9**4, 1 + 2 * 9 + 3 * 81)]


def found_among(matches: list[dict[str, Any]]) -> list[tuple[int, int]]:
    rules = [rule(match, position=position) for position, match in enumerate(matches)]
    return [(each.rule.position, each.by.position) for each in shadowed(rules)]
