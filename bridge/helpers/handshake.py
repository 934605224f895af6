"""A helper's `init`: what it must be, and what it may say instead (docs/protocol.md, "Helpers")."""

from typing import Any, Final

import msgspec

from spanbridge.protocol.control import VERSION, read_object
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from .endings import Refusal

_OF_INIT: Final = frozenset({"command", "version", "problem", "message", "channel"})
_CODE_CHARACTERS: Final = 100  # kept of a refusal that is too long
_TEXT_CHARACTERS: Final = 1_000
_SHOWN: Final = 100  # characters of what was found instead


def check_first(command: str, payload: bytes, refusal_bytes: int) -> None:
    """Return if a helper's first message is the `init` that it has to be.

    Raises Refusal with the problem that it tells of, Problem (`protocol-error`) for anything else.
    """
    if command != "init":
        raise Problem(PROTOCOL_ERROR, f"expected init as its first message, found {command[:_SHOWN]!r}")
    message = read_object(payload)
    refusal = _refusal(message, len(payload) > refusal_bytes)
    if refusal is not None:
        raise refusal
    version = message.get("version")
    if isinstance(version, bool) or version != VERSION:  # 1.0 is the same number
        if isinstance(version, msgspec.Raw):  # which Python has no number for
            version = "a long number"
        raise Problem(PROTOCOL_ERROR, f"expected version {VERSION} in its init, found {repr(version)[:_SHOWN]}")


def read_refusal(payload: bytes, refusal_bytes: int) -> Refusal | None:
    """The problem of an `init`, None where it tells of none. Of one longer than `refusal_bytes` no more than the
    beginning: every open that waits is closed with it."""
    return _refusal(read_object(payload), len(payload) > refusal_bytes)


def _refusal(message: dict[str, Any], long: bool) -> Refusal | None:
    if message.get("problem") is None:
        return None
    code, text = str(message["problem"]), message.get("message")
    text = text if isinstance(text, str) else ""
    if long:
        return Refusal(code[:_CODE_CHARACTERS], text[:_TEXT_CHARACTERS])
    members = {key: value for key, value in message.items() if key not in _OF_INIT}
    return Refusal(code, text, **members)
