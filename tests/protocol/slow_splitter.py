"""The reference for `splitter.Splitter`: takes one byte at a time, gives one frame at a time, caches nothing."""

from collections.abc import Iterator
from typing import NamedTuple

LF = 0x0A


class Malformed(Exception):
    """No frame begins at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Given(NamedTuple):
    """One whole frame. `route` is None for a control frame and for a channel without one."""

    ident: bytes
    route: str | None
    frame: bytes
    offset: int


class SlowSplitter:
    """As Splitter; `routes` belongs to the caller as it does there."""

    def __init__(
        self,
        routes: dict[bytes, str],
        *,
        frame_bytes: int = 99_999_999,
        control_bytes: int = 4 << 20,
        id_bytes: int = 8_192,
    ) -> None:
        self.routes = routes
        self.held = 0
        self._limits = frame_bytes, control_bytes, id_bytes
        self._offset = 0  # where the frame begins
        self._frame = bytearray()
        self._length: int | None = None
        self._body = 0  # bytes of the frame after its length line
        self._ident: bytes | None = None

    def feed(self, chunk: bytes) -> Iterator[Given]:
        for byte in chunk:
            self._take(byte)
            self.held = len(self._frame)
            if self._length == self._body:
                yield self._whole()

    def _take(self, byte: int) -> None:
        frame_bytes, control_bytes, id_bytes = self._limits
        self._frame.append(byte)
        if self._length is None:
            if byte != LF:
                self._check_digits()
                return
            if len(self._frame) == 1 or int(self._frame) > frame_bytes:
                raise Malformed(self._offset)
            self._length = int(self._frame)
            return
        self._body += 1
        if self._ident is None:
            if byte == LF:
                self._ident = bytes(self._frame[len(self._frame) - self._body : -1])
            elif self._body > id_bytes or self._body == self._length:
                raise Malformed(self._offset)
            if self._ident == b"" and self._length > control_bytes:
                raise Malformed(self._offset)

    def _check_digits(self) -> None:
        if self._frame[0] == ord("0") or self._frame[-1] not in b"0123456789" or len(self._frame) > 8:
            raise Malformed(self._offset)

    def _whole(self) -> Given:
        assert self._ident is not None
        given = Given(self._ident, self.routes.get(self._ident), bytes(self._frame), self._offset)
        self._offset += len(self._frame)
        self._frame.clear()
        self.held = self._body = 0
        self._length = self._ident = None
        return given
