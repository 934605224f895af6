"""A body in chunks (RFC 9112, 7.1): bytes in, the body out. Extensions and trailers are dropped."""

import re
from typing import Final

from spanbridge.protocol.problems import PROTOCOL_ERROR, TOO_LARGE, Problem

LINE_BYTES: Final = 16 << 10
"""Longest line with the size of a chunk."""
TRAILER_BYTES: Final = 128 << 10
_MOST: Final = 1 << 63

_SIZE: Final = re.compile(rb"([0-9a-fA-F]+)[ \t]*(;[^\x00\r\n]*)?")

_LINE, _DATA, _DATA_END, _TRAILER, _OVER = range(5)


class Chunked:
    """Raises Problem (`protocol-error`, `too-large`), whose message begins with `server`."""

    __slots__ = ("_line", "_server", "_state", "_trailer", "left")

    def __init__(self, server: object) -> None:
        self._server = server
        self._state = _LINE
        self._line = b""  # the beginning of one
        self._trailer = 0  # bytes so far
        self.left = 0  # bytes of the body that come next, before anything else

    @property
    def over(self) -> bool:
        """Whether the body is whole."""
        return self._state == _OVER

    def feed(self, data: bytes) -> tuple[list[bytes | memoryview], bytes]:
        """The pieces of the body in `data`, and what follows on its end."""
        view, pos, end = memoryview(data), 0, len(data)
        pieces: list[bytes | memoryview] = []
        while pos < end and self._state != _OVER:
            if self._state == _DATA:
                taken = min(self.left, end - pos)
                pieces.append(view[pos : pos + taken])
                self.moved(taken)
                pos += taken
                continue
            stop = data.find(b"\n", pos) + 1
            part = data[pos : stop or end]
            pos += len(part)
            self._take(part, whole=bool(stop))
        return pieces, data[pos:]

    def moved(self, nbytes: int) -> None:
        """So many of the bytes that are `left` came another way."""
        self.left -= nbytes
        if not self.left:
            self._state = _DATA_END

    def _take(self, part: bytes, *, whole: bool) -> None:
        """Some of a line."""
        line = self._line + part
        if self._state == _DATA_END and not b"\r\n".startswith(line):
            raise self._wrong("a chunk that is not followed by CR LF")
        if self._state == _TRAILER:
            self._trailer += len(part)
            if self._trailer > TRAILER_BYTES:
                raise Problem(TOO_LARGE, f"{self._server}: trailers of more than {TRAILER_BYTES} bytes")
        elif len(line) > LINE_BYTES:
            raise self._wrong(f"a chunk whose size and extensions have more than {LINE_BYTES} bytes")
        if not whole:
            self._line = line
            return
        self._line = b""
        if self._state == _DATA_END:
            self._state = _LINE
        elif self._state == _LINE:
            self._begin(line)
        elif line in (b"\r\n", b"\n"):
            self._state = _OVER

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line[:-2]) if line.endswith(b"\r\n") else None
        if found is None:
            raise self._wrong(f"expected the size of a chunk, found {line[:40]!r}")
        size = int(found[1], 16)
        if size >= _MOST:
            raise self._wrong("a chunk of more bytes than there are")
        self.left = size
        self._state = _DATA if size else _TRAILER

    def _wrong(self, what: str) -> Problem:
        return Problem(PROTOCOL_ERROR, f"{self._server}: {what}")
