"""A body as pieces. It is made when it is read, and can be read twice."""

import os
from collections.abc import Callable, Generator
from typing import Final

from .bounds import MESSAGE_BYTES
from .gunzip import gunzip

Body = Callable[[], Generator[bytes, None, None]]
"""Gives the pieces, each fit for one message, from the first one."""

# A piece of text may grow by what was held back of the one before it.
_READ_BYTES: Final = MESSAGE_BYTES - 3


def bytes_body(data: bytes) -> Body:
    """`data` as it is."""

    def pieces() -> Generator[bytes, None, None]:
        for start in range(0, len(data), _READ_BYTES):
            yield data[start : start + _READ_BYTES]

    return pieces


def file_body(descriptor: int, *, unpack: bool) -> Body:
    """The content of an open file, unpacked from gzip if asked for. Raises BadGzipError, OSError while read."""

    def stored() -> Generator[bytes, None, None]:
        offset = 0
        while piece := os.pread(descriptor, _READ_BYTES, offset):
            offset += len(piece)
            yield piece

    def unpacked() -> Generator[bytes, None, None]:
        return gunzip(stored(), _READ_BYTES)

    return unpacked if unpack else stored


def joined(*bodies: Body) -> Body:
    """One body after another."""

    def pieces() -> Generator[bytes, None, None]:
        for body in bodies:
            yield from body()

    return pieces
