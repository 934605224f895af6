"""Members of a JSON document: their paths, and saying that one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import msgspec

Path: TypeAlias = tuple[str | int, ...]

SHOWN = 60
"""Characters of a value that a message quotes."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class MemberError(Exception):
    """A member is not what it should be.

    path: from the top of the document, like ("bridges", 2, "spawn"). message: what was found and expected.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


Report: TypeAlias = Callable[[MemberError], None]
"""Is told of each thing wrong, where a check goes on after the first."""


def raise_it(error: MemberError) -> NoReturn:
    """What is done with something wrong, unless the caller wants to hear of all of it."""
    raise error


def spell(path: Path) -> str:
    """The path as people write it: `bridges[2].spawn`, and `match["a b"]` for a name that is no plain word."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and _PLAIN.issuperset(step):
            short = shortened(step)
            text += f".{short}" if text else short
        else:
            text += f"[{quote(step)}]"
    return text


def quote(text: str) -> str:
    """As a JSON string, shortened; one line whatever it holds."""
    short = shortened(text)
    # A lone surrogate cannot come from JSON, but a message must not fail over one.
    return printable(msgspec.json.encode(short.encode("utf-8", "replace").decode()).decode())


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def printable(text: str) -> str:
    """With JSON's escapes for what a terminal might act on: control characters, C1 too, line separators, and whatever
    turns the direction of text around."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join([f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)])


def describe(value: Any) -> str:
    """A value as messages call it: `string "x"`, `number 5`, `null`, `an empty list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"string {quote(value)}"
        case int() | float() | msgspec.Raw():  # the last is one that no float can hold, as it was written
            text = msgspec.json.encode(value).decode()
            return f"number {shortened(text)}"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "an object" if value else "an empty object"
        case _:
            return f"a {type(value).__name__}"


def wrong(path: Path, value: Any, expected: str) -> MemberError:
    return MemberError(path, f"found {describe(value)}, expected {expected}")


def number(value: Any, path: Path, expected: str) -> float:
    """A JSON number as a float. Raises MemberError: for true and false too, and for more than a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong(path, value, expected)
    try:
        return float(value)
    except OverflowError:
        raise wrong(path, value, f"{expected} below 1.8e308") from None
