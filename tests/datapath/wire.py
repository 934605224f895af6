"""Frames as the far ends see them: written and read without any code of the bridge."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

LF = b"\n"


def encode(channel: str, payload: bytes) -> bytes:
    body = channel.encode() + LF + payload
    return str(len(body)).encode() + LF + body


def encode_control(**members: Any) -> bytes:
    return encode("", json.dumps(members).encode())


# What the bridge fills in by itself, where only the code and the channel are promised.
_WORDS = ("message", "host", "superuser", "packages", "version")


class Said(NamedTuple):
    """One frame. `told` is the payload of a data frame, the members of a control message without the bridge's words."""

    channel: str
    told: Any

    @property
    def command(self) -> str:
        """Of a control message; "data" for a data frame."""
        return str(self.told["command"]) if isinstance(self.told, dict) else "data"


def said(frame: bytes) -> Said:
    """A whole frame."""
    _, channel, payload = frame.split(LF, 2)
    if channel:
        return Said(channel.decode(), payload)
    message = json.loads(payload)
    return Said(message.get("channel", ""), {key: message[key] for key in message if key not in _WORDS})


class Ear:
    """Cuts what is heard into frames."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def hear(self, data: bytes) -> Iterator[Said]:
        self.rest += data
        while (line := self.rest.find(LF)) >= 0:
            stop = line + 1 + int(self.rest[:line])
            if stop > len(self.rest):
                return
            frame = bytes(self.rest[:stop])
            del self.rest[:stop]
            yield said(frame)
