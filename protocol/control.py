"""Control messages: the JSON objects on the empty channel (docs/protocol.md, "Control messages")."""

import math
from typing import Any, Final

import msgspec

from .frames import encode
from .problems import PROTOCOL_ERROR, Problem

VERSION: Final = 1

# Commands that only a front end may send; from a helper they are a forgery.
FRONT_END_ONLY: Final = frozenset({"open", "options", "kill", "hint", "logout"})

# Commands that speak of the whole transport; one hop only, whatever channel they may name.
FOR_THE_TRANSPORT: Final = frozenset({"init", "authorize", "send-stderr", "superuser-init-done"})


class Head(msgspec.Struct, frozen=True, gc=False):
    """The two members that decide where a control message goes; the others are left undecoded."""

    command: str
    channel: str | msgspec.UnsetType = msgspec.UNSET


_head = msgspec.json.Decoder(Head)
_object = msgspec.json.Decoder(dict[str, Any])


def _wide(text: str) -> float | msgspec.Raw:
    number = float(text)
    return msgspec.Raw(text.encode()) if math.isinf(number) else number


_wide_object = msgspec.json.Decoder(dict[str, Any], float_hook=_wide)
_encoder = msgspec.json.Encoder()


def read_head(payload: bytes) -> tuple[str, str | None]:
    """The command and the channel (None if absent) of a control message.

    Raises Problem (`protocol-error`) unless `payload` is a JSON object in UTF-8 with a string "command" whose
    "channel", if there is one, is a string that is not empty.
    """
    try:
        # The decoder passes over members that it was not asked for without looking at their encoding.
        if not payload.isascii():
            payload.decode()
        head = _head.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, payload) from None
    if head.channel is msgspec.UNSET:
        return head.command, None
    if not head.channel:
        raise Problem(PROTOCOL_ERROR, 'control message with an empty "channel": expected an id, or no such member')
    return head.command, head.channel


def read_message(payload: bytes) -> tuple[str, str | None, dict[str, Any]]:
    """As `read_head`, with all members besides."""
    message = read_object(payload)
    command, channel = message.get("command"), message.get("channel")
    if not isinstance(command, str):
        raise Problem(PROTOCOL_ERROR, f'"command" of a control message: expected a string, found {command!r}')
    if "channel" in message and not (isinstance(channel, str) and channel):
        raise Problem(PROTOCOL_ERROR, f'"channel" of a control message: expected an id, found {channel!r}')
    return command, channel, message


def read_object(payload: bytes) -> dict[str, Any]:
    """All members of a control message. Raises Problem (`protocol-error`) unless `payload` is a JSON object."""
    try:
        try:
            return _object.decode(payload)
        except msgspec.ValidationError:  # a number beyond any float is JSON all the same: it is kept as it stands
            return _wide_object.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, payload) from None


def control(command: str, /, **members: object) -> bytes:
    """A control message as one whole frame. A member's name is given with `_` for each `-`."""
    return frame_of({"command": command, **{name.replace("_", "-"): value for name, value in members.items()}})


def frame_of(message: dict[str, Any]) -> bytes:
    """A whole control frame of `message`, a JSON object with its "command".

    Raises Problem (`protocol-error`) for one that is nested too deeply to be written.
    """
    try:
        return encode(b"", _encoder.encode(message))
    except RecursionError:
        raise Problem(PROTOCOL_ERROR, "control message nested too deeply") from None


def close(channel: str, problem: str | None = None, message: str | None = None, /, **members: object) -> bytes:
    """A `close` frame; `problem` and `message` are left out where they are None."""
    told: dict[str, Any] = {"command": "close", "channel": channel}
    if problem is not None:
        told["problem"] = problem
    if message is not None:
        told["message"] = message
    return frame_of({**members, **told})


def _malformed(error: Exception, payload: bytes) -> Problem:
    begin = repr(payload[:60])[1:] + ("..." if len(payload) > 60 else "")
    detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Problem(
        PROTOCOL_ERROR, f'expected a control message, a JSON object with a string "command", found {begin}: {detail}'
    )
