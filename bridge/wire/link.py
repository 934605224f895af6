"""A framed byte stream in both directions over two descriptors. The front end is one; each helper has one.

It is a `Reader` and a `Writer`, and what they do together: `move` has the kernel pass on what is still missing of a
large frame, once all of it is there, without its having been read (splice(2)).
"""

import asyncio
from collections.abc import Callable
from typing import Final

from spanbridge.protocol.frames import Span

from .flusher import Flusher
from .pipe_budget import PipeBudget
from .poller import Poller
from .reader import Reader
from .writer import Writer

REST_BYTES: Final = 16_384  # missing from a frame: from here on it is worth moving them instead of reading them


class Link:
    """One framed stream. Owns both descriptors: `close` and `close_out` close them.

    The callbacks are those of Reader and Writer. `put`, `flush`, `drain`, `resume` and `pause` are theirs, bound here
    once: a frame must not pay for a call in between.
    """

    __slots__ = (
        "close_in",
        "close_out",
        "drain",
        "flush",
        "pause",
        "put",
        "reader",
        "resume",
        "when_empty",
        "writer",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        flusher: Flusher,
        budget: PipeBudget,
        in_fd: int,
        out_fd: int,
        *,
        read_bytes: int,
        high_water: int,
        on_chunk: Callable[[bytes], None],
        on_end: Callable[[str | None], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self.reader = Reader(
            loop,
            poller,
            flusher,
            budget,
            in_fd,
            read_bytes=read_bytes,
            on_chunk=on_chunk,
            on_end=on_end,
        )
        self.writer = Writer(loop, poller, flusher, budget, out_fd, high_water=high_water, on_broken=on_broken)
        self.put = self.writer.put
        self.flush = self.writer.flush
        self.when_empty = self.writer.when_empty
        self.close_out = self.writer.close
        self.drain = self.reader.drain
        self.resume = self.reader.resume
        self.pause = self.reader.pause
        self.close_in = self.reader.close

    # As seen by whoever has both directions

    @property
    def in_fd(self) -> int:
        return self.reader.source.fd

    @property
    def out_fd(self) -> int:
        return self.writer.fd

    @property
    def queued(self) -> int:
        """Bytes in the outbox."""
        return self.writer.queued

    @property
    def written(self) -> int:
        """Bytes that the other side has taken."""
        return self.writer.written

    @property
    def full(self) -> bool:
        return self.writer.full

    @property
    def blocked(self) -> bool:
        return self.writer.blocked

    @property
    def broken(self) -> bool:
        return self.writer.broken

    @property
    def takes(self) -> bool:
        """Whether what is put goes out at once."""
        return self.writer.takes

    @property
    def paused(self) -> bool:
        return self.reader.paused

    @property
    def resumed_at(self) -> float:
        return self.reader.resumed_at

    @property
    def taken_at(self) -> float:
        return self.writer.taken_at

    @property
    def readable(self) -> int:
        """Bytes that are there to be read."""
        return self.reader.source.readable

    def holds(self, count: int) -> bool:
        """Whether so many bytes are there to be read, in a pipe."""
        return self.reader.source.holds(count)

    def move(self, held: Span, source: "Link", count: int) -> int:
        """Send a frame of which `held` was read, and the other `count` bytes are in the pipe that `source` reads.
        See Writer.move."""
        lost = self.writer.move(held, source.reader.source, count)
        source.reader.moved()
        return lost

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
