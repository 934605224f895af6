"""Strings with `*` (any characters, or none) and `?` (any one character); nothing else is special."""

from __future__ import annotations

import re
from collections.abc import Callable


def is_wildcard(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def compile_wildcard(pattern: str) -> Callable[[str], bool]:
    """A test for whole strings. `*` and `?` take line breaks too.

    The pieces between the stars are looked for from left to right, each from where the last was found: the first place
    for a piece is never worse than a later one, so there is nothing to go back to, and the cost is that of finding
    each piece once.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return _exact(first)
    *middle, last = rest
    if not any(middle) and "?" not in pattern:
        return _affixes(first, last)
    return _pieces(first, [piece for piece in middle if piece], last)


def _exact(piece: str) -> Callable[[str], bool]:
    fits = _fitting(piece)
    return lambda text: len(text) == len(piece) and fits(text, 0)


def _affixes(first: str, last: str) -> Callable[[str], bool]:
    shortest = len(first) + len(last)
    return lambda text: len(text) >= shortest and text.startswith(first) and text.endswith(last)


def _pieces(first: str, middle: list[str], last: str) -> Callable[[str], bool]:
    starts, ends = _fitting(first), _fitting(last)
    finders = [(_finder(piece), len(piece)) for piece in middle]

    def test(text: str) -> bool:
        at, end = len(first), len(text) - len(last)
        if at > end or not starts(text, 0) or not ends(text, end):
            return False
        for find, length in finders:
            found = find(text, at, end)
            if found < 0:
                return False
            at = found + length
        return True

    return test


def _fitting(piece: str) -> Callable[[str, int], bool]:
    """Whether the piece stands in a text at an offset."""
    if "?" not in piece:
        return lambda text, at: text.startswith(piece, at)
    match = _expression(piece).match
    return lambda text, at: match(text, at) is not None


def _finder(piece: str) -> Callable[[str, int, int], int]:
    """The first offset in text[at:end] where the piece stands, or -1."""
    if "?" not in piece:
        return lambda text, at, end: text.find(piece, at, end)
    search = _expression(piece).search

    def find(text: str, at: int, end: int) -> int:
        found = search(text, at, end)
        return found.start() if found else -1

    return find


def _expression(piece: str) -> re.Pattern[str]:
    return re.compile("".join(["." if char == "?" else re.escape(char) for char in piece]), re.DOTALL)
