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
    matcher = SequenceMatcher(None)
    matcher.set_seq2(folded)
    for each in sorted(known):
        other = _folded(each)
        if 2 * max(len(other), len(folded)) > 3 * min(len(other), len(folded)):
            continue  # too little of the longer one could be in the other
        matcher.set_seq1(other)
        near = _one_apart(folded, other)
        if near or (matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE):
            ratio = matcher.ratio()
            if ratio > best_ratio and (near or ratio >= _ALIKE):
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
