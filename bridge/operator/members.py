"""An open message from the arguments of a command line."""

from typing import Any, NamedTuple

import msgspec

from spanbridge.manifests.locate import line_and_column
from spanbridge.manifests.member import describe
from spanbridge.manifests.syntax import first_error
from spanbridge.protocol.control import read_message, read_object, written
from spanbridge.protocol.nesting import DEEPEST, too_deep
from spanbridge.protocol.problems import Problem

AND = "and"
"""The argument between two opens."""


class ArgumentError(Exception):
    """An argument that is no open, or no part of one; the text says which and what was expected."""


class Said(NamedTuple):
    """An open as a front end would have sent it."""

    message: dict[str, Any]
    payload: bytes
    """Its JSON, with numbers as they were written."""


def read_opens(arguments: list[str]) -> list[Said]:
    """The opens that the arguments describe.

    An argument that begins with `{` is the JSON of an open, and begins one. `name=value` and `name:=value` set a member
    of the open that they stand in or behind; `and` ends it. Raises ArgumentError.
    """
    opens: list[dict[str, msgspec.Raw]] = []
    current: dict[str, msgspec.Raw] | None = None
    for argument in arguments:
        if argument == AND:
            if current is None:
                raise ArgumentError("and: expected an open before it")
            current = None
        elif argument.lstrip().startswith("{"):
            current = _object(argument)
            opens.append(current)
        else:
            name, value = _member(argument)
            if current is None:
                current = {}
                opens.append(current)
            current[name] = value
    if current is None:
        raise ArgumentError("and: expected an open behind it" if opens else "expected an open: JSON, or name=value ...")
    return [_as_sent(each) for each in opens]


def _member(argument: str) -> tuple[str, msgspec.Raw]:
    """`name=value`: the value is JSON if it can be read as such, else a string. `name:=value`: it must be JSON."""
    name, equals, text = argument.partition("=")
    must = name.endswith(":")
    name = name.removesuffix(":")
    if not equals or not name:
        raise ArgumentError(f"{argument}: expected name=value, or the JSON of an open")
    _check_utf8(argument)
    try:
        value = msgspec.json.decode(text, type=msgspec.Raw)
        read_object(b'{"value":%b}' % bytes(value))  # which looks into it
    except (msgspec.MsgspecError, Problem, RecursionError):
        if must:
            raise ArgumentError(f"{_short(argument)}: {_not_json(text)}") from None
        return name, msgspec.Raw(msgspec.json.encode(text))
    return name, value


def _object(text: str) -> dict[str, msgspec.Raw]:
    _check_utf8(text)
    try:
        read = read_object(text.encode())
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:  # half a character, as an escape
        return {name: msgspec.Raw(written({"": value})[4:-1]) for name, value in read.items()}
    except (Problem, RecursionError):
        raise ArgumentError(f"{_short(text)}: {_not_json(text)}") from None


def _as_sent(members: dict[str, msgspec.Raw]) -> Said:
    said = {"command": msgspec.Raw(b'"open"'), "channel": msgspec.Raw(b'"1"'), **members}
    payload = written(said)
    try:
        message = read_message(payload)[2]
    except Problem as problem:
        raise ArgumentError(problem.message) from None
    if message["command"] != "open":
        raise ArgumentError(f'command: found {describe(message["command"])}, expected "open", or none')
    return Said(message, payload)


def _check_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{ascii(text)[1:-1]}: expected UTF-8") from None


def _not_json(text: str) -> str:
    data = text.encode()
    if too_deep(data):
        return f"expected at most {DEEPEST} levels of lists and objects"
    offset, message = first_error(data)
    line, column = line_and_column(data, offset)
    return f"not JSON at {f'line {line}, ' if line > 1 else ''}character {column}: {message}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:37]}..."
