"""Why a line of a file is none of a recording, for people."""

import base64
from typing import Any, Final

import msgspec

from spanbridge.manifests.locate import line_and_column
from spanbridge.manifests.member import describe
from spanbridge.manifests.syntax import first_error

from ..printable import printable

_SHOWN: Final = 40  # characters of a line
_MEMBERS: Final[dict[str, tuple[Any, str]]] = {
    "t": (float, "seconds"),
    "dir": (str, '"in" or "out"'),
    "channel": (str, "a string"),
    "message": (dict[str, Any], "an object"),
    "size": (int, "bytes, a whole number"),
    "payload": (str, "a string"),
    "base64": (str, "a string in base64"),
    "shortened": (bool, "true or false"),
    "redacted": (list[str], "a list of strings"),
    "garbage": (str, "a string"),
    "descriptors": (int, "a whole number"),
    "end": (bool, "true or false"),
    "exit": (int, "a whole number"),
}


def no_beginning(line: bytes) -> str:
    """Of the first line: what was expected, and what is there instead."""
    text = " ".join(printable(line.decode(errors="backslashreplace").strip(), keep="\t").split())
    found = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return (
        'this is no recording: expected {"recording": 1, "started": ..., "command": [...], "payload": ...}, as '
        f"`spanbridge tap --format json` writes it, found {found or 'an empty line'}"
    )


def no_record(line: bytes) -> str:
    """Of any other line."""
    return f"expected a record, as `spanbridge tap --format json` writes it: {_wrong(line)}"


def _wrong(line: bytes) -> str:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError):
        offset, message = first_error(line)
        return f"not JSON at character {line_and_column(line, offset)[1]}: {message}"
    except RecursionError:
        return "it is nested too deeply"
    if not isinstance(value, dict):
        return f"found {describe(value)}, expected an object"
    if "t" not in value:
        return "it has no t, the time in seconds"
    for name, member in value.items():
        if name not in _MEMBERS:
            return f"unknown member {printable(name)}"
        if not _fits(name, member):
            return f"{name}: found {describe(member)}, expected {_MEMBERS[name][1]}"
    return "a member is out of range"


def _fits(name: str, member: Any) -> bool:
    if member is None and name in ("dir", "channel", "message", "payload", "base64", "garbage", "exit"):
        return True
    try:
        msgspec.convert(member, _MEMBERS[name][0])
        if name == "base64":
            base64.b64decode(member, validate=True)
    except (msgspec.MsgspecError, ValueError):
        return False
    return member in ("in", "out") if name == "dir" else True
