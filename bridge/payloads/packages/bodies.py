"""A body as pieces. It is made when it is read, and can be read twice."""

import os
from collections.abc import Callable, Generator
from typing import Final

from .bounds import MESSAGE_BYTES
from .gunzip import gunzip
from .text import HELD_BYTES, whole_characters

Body = Callable[[], Generator[bytes, None, None]]
"""Gives the pieces, each fit for one message, from the first one."""

# A piece may grow by what was held back of the one before it.
_READ_BYTES: Final = MESSAGE_BYTES - HELD_BYTES


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


def text_body(body: Body) -> Body:
    """The same cut between characters. Raises NotTextError while read."""

    def pieces() -> Generator[bytes, None, None]:
        return whole_characters(body())

    return pieces


def joined(*bodies: Body) -> Body:
    """One body after another."""

    def pieces() -> Generator[bytes, None, None]:
        for body in bodies:
            yield from body()

    return pieces
