"""Unpacking gzip (RFC 1952) piece by piece."""

import zlib
from collections.abc import Generator, Iterable
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_MAGIC: Final = b"\x1f\x8b"


class BadGzipError(ValueError):
    """The data is not gzip, is damaged, or ends too early."""


def gunzip(pieces: Iterable[bytes], size: int) -> Generator[bytes, None, None]:
    """The content of all members, in pieces of at most `size` bytes. What follows the last member is left out.

    Raises BadGzipError at the place where the data is bad; what came before it has been given out by then.
    """
    unpacker = zlib.decompressobj(_GZIP)
    started = False
    for packed in pieces:
        data = packed
        while data:
            if unpacker.eof:
                if not data.startswith(_MAGIC[: len(data)]):
                    return
                unpacker = zlib.decompressobj(_GZIP)
            try:
                piece = unpacker.decompress(data, size)
            except zlib.error as error:
                raise BadGzipError(f"no gzip data: {error}") from None
            started = True
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if piece:
                yield piece
    if not started or not unpacker.eof:
        raise BadGzipError("gzip data that ends too early")
