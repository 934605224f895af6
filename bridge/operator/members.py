"""An open message from the arguments of a command line."""

from typing import Any

import msgspec

from spanbridge.manifests.locate import line_and_column
from spanbridge.manifests.member import describe
from spanbridge.manifests.syntax import first_error
from spanbridge.protocol.control import read_message
from spanbridge.protocol.problems import Problem

AND = "and"
"""The argument between two opens."""


class ArgumentError(Exception):
    """An argument that is no open, or no part of one; the text says which and what was expected."""


def read_opens(arguments: list[str]) -> list[dict[str, Any]]:
    """The opens that the arguments describe, as a front end would have sent them.

    An argument that begins with `{` is the JSON of an open, and begins one. `name=value` and `name:=value` set a member
    of the open that they stand in or behind; `and` ends it. Raises ArgumentError.
    """
    opens: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    for argument in arguments:
        if argument == AND:
            if current is None:
                raise ArgumentError("and: expected an open before it")
            current = None
        elif argument.lstrip().startswith("{"):
            current = _object(argument)
            opens.append(current)
        else:
            name, value = read_member(argument)
            if current is None:
                current = {}
                opens.append(current)
            current[name] = value
    if current is None:
        raise ArgumentError("and: expected an open behind it" if opens else "expected an open: JSON, or name=value ...")
    return [_as_sent(each) for each in opens]


def read_member(argument: str) -> tuple[str, Any]:
    """`name=value`: the value is JSON if it can be read as such, else a string. `name:=value`: it must be JSON."""
    name, equals, text = argument.partition("=")
    must = name.endswith(":")
    name = name.removesuffix(":")
    if not equals or not name:
        raise ArgumentError(f"{argument}: expected name=value, or the JSON of an open")
    _check_utf8(argument)
    try:
        return name, msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        if must:
            raise ArgumentError(f"{argument}: {_not_json(text)}") from None
        return name, text


def _object(text: str) -> dict[str, Any]:
    _check_utf8(text)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise ArgumentError(f"{_short(text)}: {_not_json(text)}") from None
    if not isinstance(value, dict):
        raise ArgumentError(f"{_short(text)}: found {describe(value)}, expected an object")
    return value


def _as_sent(members: dict[str, Any]) -> dict[str, Any]:
    message = {"command": "open", "channel": "1", **members}
    if message["command"] != "open":
        raise ArgumentError(f'command: found {describe(message["command"])}, expected "open", or none')
    try:
        return read_message(msgspec.json.encode(message))[2]
    except Problem as problem:
        raise ArgumentError(problem.message) from None
    except RecursionError:
        raise ArgumentError("an open that is nested too deeply") from None


def _check_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{ascii(text)[1:-1]}: expected UTF-8") from None


def _not_json(text: str) -> str:
    data = text.encode()
    offset, message = first_error(data)
    line, column = line_and_column(data, offset)
    return f"not JSON at {f'line {line}, ' if line > 1 else ''}character {column}: {message}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:37]}..."
