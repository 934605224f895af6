"""Rules that no open gets to, because an earlier one takes all that they would take."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from spanbridge.manifests.match import HOST
from spanbridge.manifests.model import Rule
from spanbridge.manifests.value import equal, hashable
from spanbridge.manifests.wildcard import is_wildcard

from .subsets import Subsets

_Need: TypeAlias = tuple[str, str, Hashable]
"""Kind, member, and the text or value."""
_THERE, _EXACT, _PART = "there", "exact", "part"

STATES = 20_000
"""Steps of one comparison of two wildcards; beyond, they count as different."""


class Shadowed(NamedTuple):
    rule: Rule
    by: Rule
    """The first that takes all that `rule` takes."""


def shadowed(rules: Iterable[Rule]) -> Iterator[Shadowed]:
    """The rules, in the order in which they are tried, that come after one that covers them.

    A rule is filed under all that it needs: whatever it covers needs no less. So each is compared with few others,
    however many there are.
    """
    matches = [(rule, rule.match) for rule in rules if rule.match is not None]
    needs = [_needs(match) for _, match in matches]
    shared = Counter(chain.from_iterable(needs))
    parts = _Parts(shared)
    filed = {False: Subsets(), True: Subsets()}
    for number, (rule, match) in enumerate(matches):
        rivals = filed[HOST in match]
        for earlier in rivals.within(_met(match, parts)):
            other, wide = matches[earlier]
            if covers(wide, match):
                yield Shadowed(rule, other)
                break
        rarest_first = sorted(needs[number], key=shared.__getitem__)
        rivals.add(number, rarest_first)


class _Parts:
    """The texts between wildcards that rules need, by member."""

    def __init__(self, needs: Iterable[_Need]) -> None:
        self._texts: dict[str, dict[str, None]] = {}
        self._lengths: dict[str, set[int]] = {}
        for kind, name, text in needs:
            if kind == _PART and isinstance(text, str):
                self._texts.setdefault(name, {})[text] = None
                self._lengths.setdefault(name, set()).add(len(text))

    def within(self, name: str, text: str) -> Iterator[str]:
        """Those of a member that stand in a text: looked for one by one, or each piece of the text among them."""
        known = self._texts.get(name, {})
        lengths = self._lengths.get(name, ())
        if len(known) <= len(lengths) * len(text):
            yield from (part for part in known if part in text)
            return
        for length in lengths:
            pieces = (text[at : at + length] for at in range(len(text) - length + 1))
            yield from (piece for piece in pieces if piece in known)


def _needs(match: Mapping[str, Any]) -> dict[_Need, None]:
    """What an open must have at least to satisfy the match."""
    found: dict[_Need, None] = {}
    for name, wanted in match.items():
        if wanted is None:
            found[_THERE, name, None] = None
        elif isinstance(wanted, str) and is_wildcard(wanted):
            parts = [part for part in _runs(wanted) if part]
            found.update(((_PART, name, part), None) for part in parts)
            if not parts:
                found[_THERE, name, None] = None
        else:
            found[_EXACT, name, hashable(wanted)] = None
    return found


def _met(match: Mapping[str, Any], parts: _Parts) -> set[_Need]:
    """All needs that are met by each open that satisfies the match."""
    found: set[_Need] = set()
    for name, wanted in match.items():
        found.add((_THERE, name, None))
        if isinstance(wanted, str):
            found.update((_PART, name, part) for run in _runs(wanted) for part in parts.within(name, run))
        if wanted is not None:
            found.add((_EXACT, name, hashable(wanted)))
    return found


def _runs(pattern: str) -> list[str]:
    """The text between wildcards."""
    return pattern.replace("?", "*").split("*")


def covers(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether an open that satisfies the match `narrow` satisfies `wide` too, `host` aside."""
    return all(name in narrow and _value_covers(wanted, narrow[name]) for name, wanted in wide.items())


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
