"""What a queued byte costs does not grow with the queue. Counted, not timed: bytes that are copied to be joined."""

import os
from collections import deque
from itertools import islice
from unittest.mock import patch

import pytest

from spanbridge.wire import outbox, writer

from .test_link_reading import Reader
from .turns import pipe, take

PIPE = 65_536


class Joins:
    """Counts the bytes of the pieces that are joined."""

    def __init__(self) -> None:
        self.bytes = 0
        self._real = outbox.join

    def __call__(self, queue: outbox.Outbox, count: int) -> None:
        self.bytes += sum(map(len, islice(queue, count)))
        self._real(queue, count)


@pytest.mark.parametrize("size", [16, 64, 500, 2_000, 5_000])
def test_a_long_queue_of_small_pieces(size: int) -> None:
    joins = Joins()
    near, far = pipe()
    reader = Reader(near)
    count = (2 << 20) // size
    with patch.object(writer, "join", joins):
        for _ in range(count):  # a turn each: the pipe is full after the first few
            reader.link.put(bytes(size))
            reader.turns.flusher.flush()
        heard = 0
        while found := take(reader.far, PIPE):
            heard += len(found)
            reader.turns.turn()
    assert heard == count * size
    assert joins.bytes <= 8 * heard, f"{joins.bytes / heard:.1f} bytes copied for each that is written"
    os.close(far)
    reader.close()


def test_small_pieces_go_out_together() -> None:
    """One write for all, not one each."""
    writes: deque[int] = deque()
    real = os.write

    def write(fd: int, data: outbox.Piece) -> int:
        writes.append(len(data))
        return real(fd, data)

    near, far = pipe()
    reader = Reader(near)
    for _ in range(50):
        reader.link.put(b"x" * 60)
    with (
        patch("spanbridge.wire.writer.os.write", write),
        patch("spanbridge.wire.writer.os.writev", lambda fd, pieces: write(fd, b"".join(pieces))),
    ):
        reader.turns.flusher.flush()
    assert list(writes) == [3_000]
    assert take(reader.far, PIPE) == b"x" * 3_000
    os.close(far)
    reader.close()
