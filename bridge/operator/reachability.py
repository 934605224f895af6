"""Rules that no open gets to, because an earlier one takes all that they would take."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from manifests.match import HOST
from manifests.model import Rule
from manifests.value import equal
from manifests.wildcard import is_wildcard

STATES = 20_000
"""Steps of one comparison of two wildcards; beyond, they count as different."""


class Shadowed(NamedTuple):
    rule: Rule
    by: Rule
    """The first that takes all that `rule` takes."""


def shadowed(rules: Iterable[Rule]) -> Iterator[Shadowed]:
    """The rules, in the order in which they are tried, that come after one that covers them.

    Rules that ask for single values are found by value. Only those with wildcards, null, lists or objects are compared
    one by one.
    """
    exact: dict[frozenset[str], dict[tuple[Any, ...], Rule]] = {}
    loose: dict[frozenset[str], list[Rule]] = {}
    numbers: dict[int, int] = {}
    for number, rule in enumerate(rules):
        match = rule.match
        if match is None:
            continue
        earlier: list[Rule] = []
        for names, by_value in exact.items():
            if names <= match.keys():
                key = _key(match, names)
                if key is not None and key in by_value:
                    earlier.append(by_value[key])
        for names, others in loose.items():
            if names <= match.keys():
                first = next((other for other in others if covers(other.match or {}, match)), None)
                if first is not None:
                    earlier.append(first)
        earlier = [other for other in earlier if (HOST in (other.match or {})) == (HOST in match)]
        if earlier:
            yield Shadowed(rule, min(earlier, key=lambda other: numbers[id(other)]))
        numbers[id(rule)] = number
        names = frozenset(match)
        own = _key(match, names)
        if own is None:
            loose.setdefault(names, []).append(rule)
        else:
            exact.setdefault(names, {}).setdefault(own, rule)


def covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether an open that satisfies the match `narrow` satisfies `wide` too, `host` aside."""
    return all(name in narrow and _value_covers(wanted, narrow[name]) for name, wanted in wide.items())


def _key(match: Mapping[str, Any], names: frozenset[str]) -> tuple[Any, ...] | None:
    """What stands for the values of these members; None if one of them is not a single value."""
    key: list[Any] = []
    for name in sorted(names):
        value = match[name]
        if not isinstance(value, (str, int, float)) or (isinstance(value, str) and is_wildcard(value)):
            return None
        key += (isinstance(value, bool), value)
    return tuple(key)


def _value_covers(wide: Any, narrow: Any) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    if isinstance(wide, str) and isinstance(narrow, str):
        return wide == narrow or (is_wildcard(wide) and wildcard_covers(wide, narrow))
    return equal(wide, narrow)


def wildcard_covers(wide: str, narrow: str) -> bool:
    """Whether `wide` takes every text that `narrow` takes.

    Both are run at once, over every text there is: a character that neither names stands for all such. They differ if
    a text can be reached that `narrow` takes and `wide` does not.
    """
    alphabet = [*sorted((set(wide) | set(narrow)) - {"*", "?"}), ""]
    start = (_rest(narrow, frozenset((0,))), _rest(wide, frozenset((0,))))
    seen = {start}
    waiting = [start]
    while waiting:
        ours, theirs = waiting.pop()
        if len(narrow) in ours and len(wide) not in theirs:
            return False
        for char in alphabet:
            after = _after(narrow, ours, char)
            if not after:
                continue
            following = (after, _after(wide, theirs, char))
            if following not in seen:
                if len(seen) * len(alphabet) > STATES:
                    return False
                seen.add(following)
                waiting.append(following)
    return True


def _after(pattern: str, places: frozenset[int], char: str) -> frozenset[int]:
    """Where in the pattern one can be after this character; it is empty for one that no pattern names."""
    moved = set()
    for place in places:
        if place < len(pattern):
            sign = pattern[place]
            if sign == "*":
                moved.add(place)
            elif sign in ("?", char):
                moved.add(place + 1)
    return _rest(pattern, frozenset(moved))


def _rest(pattern: str, places: frozenset[int]) -> frozenset[int]:
    """Also where one can be by taking a star for nothing."""
    found = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] == "*":
            place += 1
            found.add(place)
    return frozenset(found)
