"""A helper whose every frame can be foretold: `python -I -S peer.py NAME GENERATION [FAILURE]`.

Its open has a `key`, which no other channel ever has. What it reads on a channel must be `payload(key, "up", n, size)`
for n = 0, 1, 2...; what it writes is `payload(key, "down", n, size)`, in the sizes that an `options` with `say` lists.
It ends a channel, asked to by `close` or `done`, with a close that holds an account of both directions.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ_BYTES = 1 << 18
LARGEST = 6 << 20  # bytes a payload
STRIDE = 4_099  # how far apart in the block the filling of two frames begins
_BLOCK = hashlib.shake_128(b"soak").digest(1 << 20) * 8


def payload(key: str, way: str, number: int, size: int) -> bytes:
    """What the frame of this number holds: its number, hashed, first, so that the smallest differ too."""
    text = f" {key} {way} {number} {size} ".encode()
    head = zlib.crc32(text).to_bytes(4, "big") + text
    start = (number * STRIDE + zlib.crc32(key.encode())) & 0xFFFFF
    return (head + _BLOCK[start : start + max(0, size - len(head))])[:size]


class Account:
    """Frames of one channel in one direction."""

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, data: bytes) -> None:
        self.frames += 1
        self.bytes += len(data)
        self._hash.update(b"%d:" % len(data))
        self._hash.update(data)

    def told(self) -> list[Any]:
        return [self.frames, self.bytes, self._hash.hexdigest()]


class Channel:
    def __init__(self, key: str) -> None:
        self.key = key
        self.up = Account()
        self.down = Account()
        self.wrong = ""  # the first frame that was not the one to come


class Peer:
    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}

    def fail(self, how: str) -> None:
        """To start, in one of several ways."""
        if how == "garbage":
            write(b"Welcome!\n")
        elif how == "half":
            write(b'30\n\n{"command":"in')
        elif how == "refusal":
            self.control({"command": "init", "problem": "no-session", "message": "m" * 3_000})
        if how != "exit":
            os.read(0, 1)
        sys.exit(3)

    def serve(self) -> None:
        self.control({"command": "init", "version": 1})
        unread, wanted = bytearray(), 1
        while chunk := os.read(0, READ_BYTES):
            unread += chunk
            if len(unread) < wanted:
                continue
            at = 0
            while True:
                line = unread.find(b"\n", at, at + 9)
                if line < 0:
                    wanted = 1
                    break
                stop = line + 1 + int(unread[at:line])
                if stop > len(unread):
                    wanted = stop - at
                    break
                ident, _, data = bytes(unread[line + 1 : stop]).partition(b"\n")
                at = stop
                if ident:
                    self.heed_data(ident.decode(), data)
                else:
                    self.heed(json.loads(data))
            del unread[:at]

    def heed_data(self, ident: str, data: bytes) -> None:
        channel = self.channels[ident]
        if not channel.wrong and data != payload(channel.key, "up", channel.up.frames, len(data)):
            channel.wrong = f"frame {channel.up.frames}, of {len(data)} bytes, begins with {data[:60]!r}"
        channel.up.add(data)

    def heed(self, message: dict[str, Any]) -> None:
        command, ident = message["command"], message.get("channel", "")
        if command == "open":
            self.channels[ident] = Channel(message["key"])
            about = {"pid": os.getpid(), "name": sys.argv[1], "generation": int(sys.argv[2]), "key": message["key"]}
            self.control({"command": "ready", "channel": ident, **about})
        elif command == "options":
            for size in message.get("say", ()):
                self.say(ident, size)
            if message.get("die"):
                self.die(ident)
        elif command in ("close", "done"):
            channel = self.channels.pop(ident)
            if command == "done":
                self.control({"command": "done", "channel": ident, "key": channel.key})
            account = {"key": channel.key, "up": channel.up.told(), "down": channel.down.told(), "wrong": channel.wrong}
            self.control({"command": "close", "channel": ident, **account})

    def say(self, ident: str, size: int) -> None:
        channel = self.channels[ident]
        data = payload(channel.key, "down", channel.down.frames, size)
        channel.down.add(data)
        self.write(ident, data)

    def die(self, ident: str) -> None:
        """Within a frame, of which nothing may get through."""
        write(b"100000\n%b\nhalf" % ident.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def control(self, message: dict[str, Any]) -> None:
        self.write("", json.dumps(message).encode())

    def write(self, ident: str, data: bytes) -> None:
        body = ident.encode() + b"\n" + data
        write(b"%d\n" % len(body) + body)


def write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    try:
        if len(sys.argv) > 3:
            Peer().fail(sys.argv[3])
        Peer().serve()
    except BrokenPipeError:
        os._exit(1)
