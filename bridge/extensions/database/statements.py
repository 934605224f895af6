"""SQL of several statements, cut at its semicolons as SQLite does it."""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))
    | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*(?:\]|\Z))
    | (?P<word>\w+)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def split(sql: str) -> Iterator[str]:
    """The statements, without those that are empty. One that creates a trigger goes to its END."""
    start = 0
    words: list[str] = []  # the first of the statement
    last = ""  # the last token that is no space
    before = ""
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind == "end":
            if not (_creates_trigger(words) and not (last.upper() == "END" and before == ";")):
                if last:
                    yield sql[start : token.start()]
                start, words, last, before = token.end(), [], "", ""
                continue
        elif kind == "word" and len(words) < 4:
            words.append(token.group().upper())
        elif not words:
            words.append("")  # whatever it is, it is no CREATE
        before, last = last, token.group() if kind != "quoted" else "'"
    if last:
        yield sql[start:]


def first_word(sql: str) -> str:
    """What kind of statement it is, in capitals."""
    for token in _TOKEN.finditer(sql):
        if token.lastgroup != "space":
            return token.group().upper() if token.lastgroup == "word" else ""
    return ""


def _creates_trigger(words: list[str]) -> bool:
    if words[:1] == ["EXPLAIN"]:
        words = words[1:]
    if words[:1] != ["CREATE"]:
        return False
    return words[1:2] == ["TRIGGER"] or (words[1:2] in (["TEMP"], ["TEMPORARY"]) and words[2:3] == ["TRIGGER"])
