"""Rules that no open gets to, because an earlier one takes all that they would take."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from spanbridge.manifests.match import HOST
from spanbridge.manifests.model import Rule
from spanbridge.manifests.value import equal
from spanbridge.manifests.wildcard import is_wildcard

_Key: TypeAlias = tuple[str, str, Hashable]
"""Kind, member, and the text or value."""
_TEXT, _VALUE = "text", "value"

STATES = 20_000
"""Steps of one comparison of two wildcards; beyond, they count as different."""


class Shadowed(NamedTuple):
    rule: Rule
    by: Rule
    """The first that takes all that `rule` takes."""


def shadowed(rules: Iterable[Rule]) -> Iterator[Shadowed]:
    """The rules, in the order in which they are tried, that come after one that covers them.

    A rule is filed under the rarest thing that it asks for: whoever it covers asks for that too. So each is compared
    with few others, however many there are.
    """
    matches = [(rule, rule.match) for rule in rules if rule.match is not None]
    keys = [[_key(name, wanted) for name, wanted in match.items() if wanted is not None] for _, match in matches]
    shared = Counter(key for each in keys for key in each if key is not None)
    lengths: dict[str, set[int]] = {}
    for _, name, text in shared:
        if isinstance(text, str):
            lengths.setdefault(name, set()).add(len(text))
    filed: dict[_Key | None, list[int]] = {}
    for number, (rule, match) in enumerate(matches):
        near = [filed[None]] if None in filed else []
        near += [filed[key] for key in _asked_for(match, lengths) if key in filed]
        for earlier in sorted(chain.from_iterable(near)):
            other, wide = matches[earlier]
            if (HOST in wide) == (HOST in match) and covers(wide, match):
                yield Shadowed(rule, other)
                break
        own = min((key for key in keys[number] if key is not None), key=shared.__getitem__, default=None)
        filed.setdefault(own, []).append(number)


def _key(name: str, wanted: Any) -> _Key | None:
    """What a rule with this member can be filed under; None for nothing in particular."""
    if isinstance(wanted, str):
        longest = max(_runs(wanted), key=len)
        return (_TEXT, name, longest) if longest else None
    return (_VALUE, name, (isinstance(wanted, bool), wanted)) if isinstance(wanted, (int, float)) else None


def _asked_for(match: Mapping[str, Any], lengths: Mapping[str, Iterable[int]]) -> set[_Key]:
    """All that a rule can be filed under that covers this one: text in it must be in this one too."""
    found: set[_Key] = set()
    for name, wanted in match.items():
        if isinstance(wanted, str):
            for run in _runs(wanted):
                for length in lengths.get(name, ()):
                    found.update((_TEXT, name, run[at : at + length]) for at in range(len(run) - length + 1))
        elif isinstance(wanted, (int, float)):
            found.add((_VALUE, name, (isinstance(wanted, bool), wanted)))
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
