"""Frames as bytes: `length LF channel LF payload`, where length counts the bytes of (channel LF payload).

Written anew, on purpose: a test that used the bridge's own code for this would share its mistakes.
"""

import json
from typing import Any, Final, NamedTuple

from .tracebacks import HIDE

__tracebackhide__ = HIDE

LONGEST_LENGTH: Final = 8  # digits


class BrokenStream(AssertionError):
    """What came is not a sequence of frames."""


class Frame(NamedTuple):
    """One frame. `channel` is empty for a control message."""

    channel: str
    payload: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The control message that it is."""
        message = json.loads(self.payload)
        if not isinstance(message, dict):
            raise BrokenStream(f"a control message that is no object: {self.payload[:80]!r}")
        return message

    def __str__(self) -> str:
        shown = self.payload if len(self.payload) <= 300 else self.payload[:300] + b"..."
        return f"{self.channel or 'control'}: {shown!r}"


def encode(channel: str, payload: bytes) -> bytes:
    """A frame as bytes."""
    body = channel.encode() + b"\n" + payload
    return b"%d\n%b" % (len(body), body)


def encode_control(message: dict[str, Any]) -> bytes:
    """A control message as one frame, in bytes."""
    return encode("", json.dumps(message).encode())


class Decoder:
    """Cuts a stream of bytes into frames. `rest` is what is left of it."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` makes whole. Raises BrokenStream."""
        self.rest += data
        rest, frames, at = self.rest, [], 0
        while True:
            line = rest.find(b"\n", at, at + LONGEST_LENGTH + 1)
            if line < 0:
                if len(rest) - at > LONGEST_LENGTH:
                    raise BrokenStream(f"no length: {bytes(rest[at : at + 40])!r}")
                break
            digits = rest[at:line]
            if not digits.isdigit() or digits.startswith(b"0"):
                raise BrokenStream(f"no length: {bytes(rest[at : at + 40])!r}")
            stop = line + 1 + int(digits)
            if stop > len(rest):
                break
            channel, end, payload = bytes(rest[line + 1 : stop]).partition(b"\n")
            if not end:
                raise BrokenStream(f"a frame without a channel: {bytes(rest[at : at + 40])!r}")
            frames.append(Frame(channel.decode(), payload))
            at = stop
        del rest[:at]
        return frames
