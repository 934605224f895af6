"""What a misspelt name was meant to be."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_ALIKE = 0.8
_SHORTEST = 3
_LONGEST = 60  # characters of a name that is worth a comparison


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of the known names that this is most likely a slip for; empty if it is like none."""
    if not _SHORTEST <= len(name) <= _LONGEST:
        return ""
    folded = _folded(name)
    best, best_ratio = "", 0.0
    for each in sorted(known):
        other = _folded(each)
        ratio = SequenceMatcher(None, folded, other).ratio()
        if ratio > best_ratio and (ratio >= _ALIKE or _one_apart(folded, other)):
            best, best_ratio = each, ratio
    return best


def _one_apart(one: str, other: str) -> bool:
    """Whether one character was left out, added, or taken for another, or two changed places."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-")
