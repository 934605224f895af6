"""What waits to be written, as pieces in order: bytes as they were put, or views of what was read."""

from collections import deque
from typing import TypeAlias, cast

Piece: TypeAlias = bytes | bytearray | memoryview
Outbox: TypeAlias = deque[Piece]


def join(queue: Outbox, count: int) -> None:
    """Make the first `count` pieces one."""
    queue.appendleft(b"".join([queue.popleft() for _ in range(count)]))


def drop(queue: Outbox, count: int) -> None:
    """Remove the first `count` bytes."""
    while count:
        first = queue[0]
        if len(first) > count:
            queue[0] = memoryview(first)[count:]
            return
        count -= len(first)
        queue.popleft()


def unpin(queue: Outbox, count: int) -> None:
    """See to it that the last `count` pieces keep at most twice their bytes in memory.

    A view keeps its whole chunk. Neighbours of one chunk are looked at together; where they are less than half
    of it, they are copied and the chunk let go.
    """
    last = len(queue)
    while last > max(0, len(queue) - count):
        chunk = _chunk_of(queue[last - 1])
        first, kept = last - 1, len(queue[last - 1])
        while chunk is not None and first and _chunk_of(queue[first - 1]) is chunk and 2 * kept < len(chunk):
            first -= 1
            kept += len(queue[first])
        if chunk is not None and 2 * kept < len(chunk):
            for index in range(first, last):
                queue[index] = bytes(queue[index])
        last = first


def _chunk_of(piece: Piece) -> bytes | None:
    """What a view is a part of; None for what is no view."""
    return cast("bytes", piece.obj) if isinstance(piece, memoryview) else None
