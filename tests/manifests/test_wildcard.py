"""`*` and `?` in strings, held against a slow and obvious implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.wildcard import compile_wildcard, is_wildcard

from .manifest_tree import properties


def obvious(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return obvious(pattern[1:], text) or (bool(text) and obvious(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and obvious(pattern[1:], text[1:])


@properties
@given(st.text("ab*?\n", max_size=6), st.text("ab\n", max_size=6))
def test_against_an_obvious_implementation(pattern: str, text: str) -> None:
    assert compile_wildcard(pattern)(text) == obvious(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("*", "a\nb", True),
        ("?", "\n", True),
        ("?", "", False),
        ("?", "ab", False),
        ("?", "😀", True),
        ("**", "x", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ab", False),
        ("ab*bc", "abc", False),
        ("ab*bc", "abbc", True),
        ("a*b*c", "a-c-b-c", True),
        ("a*b*c", "a-c-c", False),
        ("*b?d*", "abcd", True),
        ("*?d", "d", False),
        ("a?", "a\n", True),
        ("[a]*", "a", False),
        ("[a]*", "[a]b", True),
        ("a.c?", "abcd", False),
        ("^a$*", "a", False),
        ("\\**", "\\", True),
        ("*A", "a", False),
        ("a?*?b", "ab", False),
        ("a?*?b", "axb", False),
        ("a?*?b", "axyb", True),
        ("*b*b*", "b", False),
        ("*b*b*", "bb", True),
        ("*b?*?c*", "bxc", False),
        ("a*b*b", "ab", False),
    ],
)
def test_nothing_else_is_special(pattern: str, text: str, expected: bool) -> None:
    assert compile_wildcard(pattern)(text) == expected


@pytest.mark.parametrize(
    "pattern", ["a*a*a*a*b", "*a*a*a*b*", "a*" * 5000 + "b", "*a?a*a?b", "?*?*?*b", "*" * 5000 + "b"]
)
def test_a_megabyte_is_gone_through_a_few_times_at_most(pattern: str) -> None:
    """A matcher that goes back for each star would not end in this century."""
    assert not compile_wildcard(pattern)("a" * 2**20)


def test_which_strings_are_patterns() -> None:
    assert [text for text in ("", "a", "a*", "?", "[a]", "\\") if is_wildcard(text)] == ["a*", "?"]
