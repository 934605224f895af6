"""The front end's link, and who may use it when.

Towards the front end: a helper is read only when all that was read before has been taken (`ready`). Those that
find it not so are read on, in the order in which they came, once it has.

From the front end: it is not read while anybody's queue is full (`block`), nor while our own answers wait for it.
"""

from collections import deque
from collections.abc import Callable

import anyio
import anyio.lowlevel

from spanbridge.protocol.frames import Span

from .context import Context
from .flusher import call_all
from .link import Link
from .source import Source


class Front:
    """The link on `in_fd` and `out_fd`. `on_chunk`, `on_end` and `on_broken` as in Link."""

    def __init__(
        self,
        context: Context,
        in_fd: int,
        out_fd: int,
        *,
        on_chunk: Callable[[bytes], None],
        on_end: Callable[[str | None], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self.link = Link(
            context.loop,
            context.poller,
            context.flusher,
            context.budget,
            in_fd,
            out_fd,
            read_bytes=context.limits.read_bytes,
            high_water=context.limits.front_queue_bytes,
            on_chunk=on_chunk,
            on_end=on_end,
            on_broken=on_broken,
        )
        self._said_all = False
        self._loop = context.loop
        self._flusher = context.flusher
        self._log = context.log
        self._limits = context.limits
        self._blockers: set[object] = set()
        self._turns: deque[Callable[[], None]] = deque()
        self.link.reader.may_read = self._may_read
        writer = self._writer = self.link.writer
        writer.on_full = self._full
        writer.on_room = self._room
        writer.on_empty = self._empty

    def put(self, data: Span) -> None:
        """Whole frames for the front end."""
        if not self._said_all:
            self._writer.put(data)

    @property
    def takes(self) -> bool:
        """Whether what is put goes out at once."""
        return self._writer.takes and not self._said_all

    def put_last(self, data: Span) -> None:
        """The last word: whatever comes after it is dropped."""
        self.put(data)
        self._said_all = True

    def ready(self, go_on: Callable[[], None]) -> bool:
        """Whether the front end has taken all so far. If not, `go_on` is called, once, when it has."""
        if not self._writer.blocked:
            return True
        self._turns.append(go_on)
        return False

    def turn(self, go_on: Callable[[], None]) -> bool:
        """As `ready`, for those who may have been called together: once one read's worth waits, it goes out first."""
        if self._writer.queued >= self._limits.read_bytes:
            self._flusher.flush()
        return self.ready(go_on)

    def load(self, head: bytes, source: Source, count: int) -> int:
        """One frame, of which `head` is at hand and the rest lies in `source`; it goes out with others
        (Writer.load)."""
        if self._said_all:
            return 0
        return self._writer.load(head, source, count)

    async def drained(self) -> None:
        """Wait until the front end has taken all so far. Others have their turn in any case."""
        await anyio.lowlevel.checkpoint()
        self._flusher.flush()
        taken = anyio.Event()
        if not self.ready(taken.set):
            await taken.wait()

    def block(self, who: object) -> None:
        """Read the front end no more until `unblock`."""
        self._blockers.add(who)

    def unblock(self, who: object) -> None:
        """Harmless where `who` does not block."""
        self._blockers.discard(who)
        if not self._blockers:
            self.link.resume()

    def _may_read(self) -> bool:
        return not self._blockers

    def _full(self) -> None:
        self._log.limit("front_queue_bytes", self._limits.front_queue_bytes)
        self.block(self)

    def _room(self) -> None:
        self.unblock(self)

    def _empty(self) -> None:
        turns, self._turns = self._turns, deque()
        call_all(self._loop, iter(turns))
