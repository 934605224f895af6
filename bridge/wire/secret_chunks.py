"""What a password may be in on its way: overwritten as soon as nobody needs it any more.

To let go of it is not enough: memory that was freed keeps what was in it until somebody else gets it.
"""

import asyncio
import sys
from typing import Final

_SHORTEST: Final = 2  # bytes; shorter ones are the interpreter's, and shared


class SecretChunks:
    """Bytes on their way. Views of them count as a need for them."""

    __slots__ = ("_chunks", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chunks: list[bytes] = []

    def __bool__(self) -> bool:
        """Whether some were still needed when it was last tried."""
        return bool(self._chunks)

    def add(self, chunk: bytes) -> None:
        """Overwrite `chunk` once it is not needed: at the end of this turn, or when `wipe` is called next."""
        if len(chunk) >= _SHORTEST:
            self._chunks.append(chunk)
            self._loop.call_soon(self.wipe)

    def wipe(self) -> None:
        """Overwrite those that nobody needs any more."""
        needed = [count > _OURS for count in _references(self._chunks)]
        kept = [chunk for chunk, is_needed in zip(self._chunks, needed, strict=True) if is_needed]
        for at, is_needed in enumerate(needed):
            if not is_needed:
                overwrite(self._chunks[at])
        self._chunks = kept


def _references(chunks: list[bytes]) -> list[int]:
    """How many references there are to each."""
    return [sys.getrefcount(chunk) for chunk in chunks]


_OURS: Final = _references([bytes(bytearray(_SHORTEST))])[0]  # of one that only the list has; it differs with Python


def overwrite(data: bytes) -> None:
    """Write zeros over the bytes of `data`, which nobody else may have."""
    import ctypes

    header = bytes.__basicsize__ - 1  # the zero behind the last byte is counted in
    ctypes.memset(id(data) + header, 0, len(data))
