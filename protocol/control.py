"""Control messages: the JSON objects on the empty channel (docs/protocol.md, "Control messages")."""

from typing import Any, Final, NoReturn

import msgspec

from .frames import encode
from .nesting import DEEPEST, too_deep
from .problems import PROTOCOL_ERROR, Problem

VERSION: Final = 1

_INFINITY: Final = float("inf")  # math is imported for nothing else
_INT_DIGITS: Final = 4_300  # more than that Python does not convert (sys.set_int_max_str_digits)

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


_encoder = msgspec.json.Encoder()

_DONE_BYTES: Final = len('\n{"command":"done","channel":}')
_CLOSE_BYTES: Final = len('\n{"command":"close","channel":}')


def read_head(payload: bytes) -> tuple[str, str | None]:
    """The command and the channel (None if absent) of a control message.

    Raises Problem (`protocol-error`) unless `payload` is a JSON object in UTF-8 with a string "command" whose
    "channel", if there is one, is a string that is not empty.
    """
    if len(payload) > DEEPEST:  # a call less for most
        _check_depth(payload)
    try:
        # The decoder passes over members that it was not asked for without looking at their encoding.
        if not payload.isascii():
            payload.decode()
        head = _head.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        command, channel, _ = read_message(payload)  # which says what is wrong, or takes what the decoder does not
        return command, channel
    if head.channel is msgspec.UNSET:
        return head.command, None
    if not head.channel:
        raise _no_channel("an empty string")
    return head.command, head.channel


def read_message(payload: bytes) -> tuple[str, str | None, dict[str, Any]]:
    """As `read_head`, with all members besides."""
    message = read_object(payload)
    command, channel = message.get("command"), message.get("channel")
    if not isinstance(command, str):
        found = type(command).__name__ if "command" in message else "none"
        raise Problem(PROTOCOL_ERROR, f'control message: expected a string as its "command", found {found}')
    if "channel" in message:
        if not isinstance(channel, str) or not channel:
            raise _no_channel("an empty string" if channel == "" else type(channel).__name__)
        if not _is_utf8(channel):
            raise _no_channel("half a character")
    return command, channel, message


def read_object(payload: bytes) -> dict[str, Any]:
    """All members of a control message. Raises Problem (`protocol-error`) unless `payload` is a JSON object.

    Taken as browsers write it: half a character as an escape (a lone surrogate) is one in the string, and a number
    beyond any float is kept as it stands, as msgspec.Raw.
    """
    if len(payload) > DEEPEST:  # a call less for most
        _check_depth(payload)
    try:
        return _object.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = _read_leniently(payload)
        if found is None:
            raise _malformed(error) from None
        return found


def _read_leniently(payload: bytes) -> dict[str, Any] | None:
    """What the fast decoder does not take and is JSON all the same; None for what is no object."""
    import json

    try:
        # The standard decoder takes more than JSON: constants, which it asks for here, and other encodings.
        found = json.loads(payload.decode(), parse_float=_wide, parse_int=_long, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _wide(text: str) -> float | msgspec.Raw:
    number = float(text)
    return msgspec.Raw(text.encode()) if abs(number) == _INFINITY else number


def _long(text: str) -> int | msgspec.Raw:
    return int(text) if len(text) < _INT_DIGITS else msgspec.Raw(text.encode())


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_depth(payload: bytes) -> None:
    if too_deep(payload):
        raise Problem(PROTOCOL_ERROR, f"control message: expected at most {DEEPEST} levels of lists and objects")


def control(command: str, /, **members: object) -> bytes:
    """A control message as one whole frame. A member's name is given with `_` for each `-`."""
    return frame_of({"command": command, **{name.replace("_", "-"): value for name, value in members.items()}})


def bare(command: str, channel: str) -> bytes:
    """The frame of a control message of a channel that has no other members, such as `done`. `command` is a name that
    needs no escapes."""
    body = b'\n{"command":"%b","channel":%b}' % (command.encode(), _encoder.encode(channel))
    return b"%d\n%b" % (len(body), body)


def ending(channel: str) -> bytes:
    """The frames of `done` and `close` without problem, in one piece."""
    quoted = _encoder.encode(channel)
    size = len(quoted)
    return b'%d\n\n{"command":"done","channel":%b}%d\n\n{"command":"close","channel":%b}' % (
        size + _DONE_BYTES,
        quoted,
        size + _CLOSE_BYTES,
        quoted,
    )


def frame_of(message: dict[str, Any]) -> bytes:
    """A whole control frame of `message`, a JSON object with its "command".

    Raises Problem (`protocol-error`) for one that is nested too deeply to be written.
    """
    return encode(b"", written(message))


def written(message: dict[str, Any]) -> bytes:
    """The payload of that frame. Raises as `frame_of`."""
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:  # half a character
        return _write_leniently(message)
    except RecursionError:
        raise Problem(PROTOCOL_ERROR, "control message nested too deeply") from None


def _write_leniently(message: dict[str, Any]) -> bytes:
    """As JSON, with escapes for all that is no ASCII, so for half characters too."""
    import json

    raw: dict[str, str] = {}

    def stand_in(value: Any) -> str:
        """A number that is kept as it stands: its text is put in place of this."""
        name = f"\0raw {len(raw)}\0"
        raw[json.dumps(name)] = bytes(value).decode()
        return name

    text = json.dumps(message, separators=(",", ":"), default=stand_in)
    for name, number in raw.items():
        text = text.replace(name, number, 1)
    return text.encode()


def pong(ping: dict[str, Any]) -> bytes:
    """The frame that answers `ping`: all its members, unchanged."""
    return frame_of({**ping, "command": "pong"})


def close(channel: str, problem: str | None = None, message: str | None = None, /, **members: object) -> bytes:
    """A `close` frame; `problem` and `message` are left out where they are None."""
    told: dict[str, Any] = {"command": "close", "channel": channel}
    if problem is not None:
        told["problem"] = problem
    if message is not None:
        told["message"] = message
    return frame_of({**members, **told})


def _no_channel(found: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f'control message: expected an id as its "channel", found {found}')


def _malformed(error: Exception) -> Problem:
    # No payload is quoted: it may hold a password.
    detail = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).partition("`")[0].strip(" -")
    return Problem(PROTOCOL_ERROR, f'expected a control message, a JSON object with a string "command": {detail}')
