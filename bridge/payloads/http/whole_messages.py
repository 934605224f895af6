"""What a server sends on a WebSocket, cut into messages of one frame, which most are, and the rest (RFC 6455, 5.2).

A message of one frame needs no protocol: it changes nothing of the state that frames build up. All else is for
websockets' `Protocol`, byte for byte: control frames, fragments, frames that are too long, and whatever is wrong.
"""

import struct
from collections.abc import Iterator
from typing import Final

_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_CONT, _TEXT, _BINARY = 0, 1, 2
_WHOLE: Final = {_FIN | _TEXT: True, _FIN | _BINARY: False}
"""How the frame of a whole message begins: whether that is text."""

RUN_FRAMES: Final = 4
"""So many frames make at most one piece for the protocol, which takes 10 us for some."""

_SHORT: Final = struct.Struct("!H").unpack_from
_LONG: Final = struct.Struct("!Q").unpack_from

Piece = tuple[bool | None, "bytes | bytearray"]
"""A whole message, with whether it is text; None: bytes for the protocol."""


class WholeMessages:
    """`most`: bytes of a message; the protocol refuses a longer one."""

    __slots__ = ("_fragmented", "_head", "_held", "_is_text", "_missing", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._head = b""  # of a frame whose length is not known yet
        self._missing = 0  # bytes of the frame that was begun
        self._is_text: bool | None = None  # of that frame; None: the protocol has it
        self._held = bytearray()  # of a whole message
        self._fragmented = False  # whether more fragments of a message are to come

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces of what has come, in order. What is for the protocol comes several frames together."""
        at, end = 0, len(data)
        frames = 0  # that the protocol gets together
        run, before = 0, b""  # where in it what is for the protocol begins; what came of that earlier
        while at < end:
            if not self._missing:
                head = self._head
                begin = self._begin(data, at)
                if begin is None:
                    end = at
                    break
                self._head = b""
                frames += 1
                if (self._is_text is not None or frames > RUN_FRAMES) and (before or run < at):
                    yield None, before + data[run:at]
                    run, before, frames = at, b"", 1
                if self._is_text is None:
                    before = before or head
                else:
                    frames = 0
                at = begin
            stop = min(at + self._missing, end)
            self._missing -= stop - at
            if self._is_text is not None:
                if self._missing:
                    self._held += memoryview(data)[at:stop]
                else:
                    yield self._is_text, self._whole(data, at, stop)
                run = stop
            at = stop
        if before or run < end:
            yield None, before + data[run:end]

    def _whole(self, data: bytes, at: int, stop: int) -> "bytes | bytearray":
        """The message that ends with these bytes."""
        if not self._held:
            return data[at:stop]
        held, self._held = self._held, bytearray()
        held += memoryview(data)[at:stop]
        return held

    def _begin(self, data: bytes, at: int) -> int | None:
        """Read the head of a frame, of which a part may have come before; where its payload begins. None: it is not
        there yet."""
        before = len(self._head)
        head = self._head + data[at : at + 10 - before]
        if len(head) < 2:
            self._head = head
            return None
        first, size = head[0], head[1] & 0x7F
        length = 2 if size < 126 else 4 if size == 126 else 10
        if len(head) < length:
            self._head = head
            return None
        if length == 4:
            (size,) = _SHORT(head, 2)
        elif length == 10:
            (size,) = _LONG(head, 2)
        self._missing = size
        self._is_text = None
        if head[1] & 0x80 == 0 and size <= self._most and not self._fragmented:
            self._is_text = _WHOLE.get(first)
        if first & _OPCODE <= _BINARY and self._is_text is None:
            self._fragmented = not first & _FIN
        return at + length - before
