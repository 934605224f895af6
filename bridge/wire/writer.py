"""Writing one stream: what was queued in one turn of the event loop goes out in one write at its end (`Flusher`).

What the descriptor does not take waits in the outbox until it is writable again. The outbox is bounded by whoever
fills it: `on_full` tells when `high_water` is passed, `on_room` when half of that is gone.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from spanbridge.protocol.frames import Span

from .flusher import Flusher, call_all
from .outbox import Outbox, drop, join, unpin
from .pipe_budget import PIPE_BYTES, PipeBudget
from .poller import Poller
from .source import Source
from .train import HALF_BYTES, HEAD_BYTES, Train

_IOV_MAX: Final = 1_024  # sysconf(_SC_IOV_MAX) of every Linux
_KEPT_SECONDS: Final = 0.25  # a train that is not used
_JOIN_BELOW: Final = 2_048  # bytes a piece; smaller ones are cheaper to copy together than to list for the kernel


def _nothing(*_: object) -> None:
    pass


class Writer:
    """Owns the descriptor `fd`: `close` closes it.

    `on_broken(reason)` is called once when nothing more can be written, `on_empty` when what had to wait has all been
    taken, `on_taken(count)` after each write that took something.
    """

    __slots__ = (
        "_budget",
        "_dirty",
        "_enlarged",
        "_flusher",
        "_loop",
        "_may_enlarge",
        "_may_load",
        "_may_move",
        "_new",
        "_on_broken",
        "_on_taken",
        "_poller",
        "_queue",
        "_socket",
        "_train",
        "_when_empty",
        "blocked",
        "broken",
        "fd",
        "full",
        "high_water",
        "on_empty",
        "on_full",
        "on_lost",
        "on_room",
        "queued",
        "taken_at",
        "written",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        poller: Poller,
        flusher: Flusher,
        budget: PipeBudget,
        fd: int,
        *,
        high_water: int,
        on_broken: Callable[[str], None],
        on_full: Callable[[], None] = _nothing,
        on_room: Callable[[], None] = _nothing,
        on_empty: Callable[[], None] = _nothing,
        on_taken: Callable[[int], None] | None = None,
    ) -> None:
        self._loop = loop
        self._poller = poller
        self._flusher = flusher
        self._budget = budget
        self.fd = fd
        self.high_water = high_water
        self.on_full = on_full
        self.on_room = on_room
        self.on_empty = on_empty
        self.on_lost: Callable[[Span], None] = _nothing  # gets what cannot be written, in order
        self._on_broken = on_broken
        self._on_taken = on_taken
        self._when_empty: list[Callable[[], None]] = []
        self.queued = 0  # bytes in the outbox
        self.written = 0  # bytes that the descriptor has taken
        self.taken_at = 0.0  # loop time when something that had to wait was taken last
        self.full = False
        self.broken = False
        self.blocked = False  # whether the descriptor took less than it was given; the event loop watches it then
        self._dirty = False
        self._new = 0  # pieces put since the last flush
        self._may_enlarge = True
        self._enlarged = False
        self._queue: Outbox = deque()
        # The reading side of a socket keeps it open: the end of our output has to be said.
        self._socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
        self._may_move = True  # whether the kernel moves to it
        self._may_load = True  # whether there can be a train
        self._train: Train | None = None  # what is in it goes out before what is in the queue

    def put(self, data: Span) -> None:
        """Queue `data`, whole frames, to go out at the end of this turn. For `on_lost` once the link is broken."""
        if self.broken:
            self.on_lost(data)
            return
        if isinstance(data, list):
            self._queue.extend(data)
            self._new += len(data)
            self.queued += sum(map(len, data))
        else:
            self._queue.append(data)
            self._new += 1
            self.queued += len(data)
        if not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    @property
    def takes(self) -> bool:
        """Whether what is put goes out at once."""
        return not self.blocked and not self.broken

    def move(self, held: Span, source: Source, count: int) -> int:
        """Send a frame of which `held` was read, and the other `count` bytes are there in `source`.

        What the descriptor takes at once is moved there by the kernel, the rest is read and queued: nobody waits for
        this link, and it is never left with half a frame: what somebody else has taken out of the pipe meanwhile is
        made up with zeros. How many: where it is not 0 nothing of `source` can be trusted any more.
        """
        self.put(held)
        self.flush()
        try:
            while count and self._may_move and not self.blocked and not self.broken:
                done = os.splice(source.fd, self.fd, count, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
                if not done:
                    break
                source.there -= done
                count -= done
                self._wrote(done)
        except BlockingIOError:
            pass  # it is full
        except OSError as error:
            if error.errno == errno.EPIPE:
                self._break(error.strerror or str(error))
            else:  # neither is a pipe, or it is in append mode
                self._may_move = False
        if not count:
            return 0
        rest, lost = source.take_in(count)
        self._put_rest(rest, lost)
        return lost

    @property
    def may_load(self) -> bool:
        """Whether what is loaded goes out without having been read: at once, or from a train that waits."""
        if not self.blocked:
            return not self.broken
        return self._train is not None and not self._queue and self.queued <= HALF_BYTES

    def load(self, head: bytes, source: Source, count: int) -> int:
        """As `move`, for a frame of which little or nothing was read; but it goes out at the end of this turn, with all
        that is put or loaded until then. While the descriptor takes nothing it waits in a pipe, and not in memory."""
        train = self._train if self._train is not None else self._make_train()
        if self._ahead + len(head) > HEAD_BYTES:
            self.flush()
        if train is None or self.broken or self._ahead + len(head) > HEAD_BYTES:
            return self.move(head, source, count)
        done = train.load(b"".join((*self._queue, head)), source.fd, count)
        if done is None:
            self.flush()
            return self.move(head, source, count)
        source.there -= done
        self._queue.clear()
        self._new = 0
        self.queued = train.waiting
        if not self._dirty:
            self._dirty = True
            self._flusher.add(self)
        if done == count:
            return 0
        rest, lost = source.take_in(count - done)
        self._put_rest(rest, lost)
        return lost

    def _put_rest(self, rest: list[bytes], lost: int) -> None:
        if rest or lost:
            self.put([*rest, bytes(lost)] if lost else [*rest])

    @property
    def _ahead(self) -> int:
        """Bytes in the queue, which would have to be loaded first."""
        return self.queued - (self._train.waiting if self._train is not None else 0)

    def _make_train(self) -> Train | None:
        if self._may_load:
            try:
                self._train = Train(self._budget.enlarge, self._budget.give_back)
            except OSError:  # no descriptors, or no large pipes: it goes on without
                self._may_load = False
            else:
                self._loop.call_later(_KEPT_SECONDS, self._look_at_train, self._train, 0)
        return self._train

    def _look_at_train(self, train: Train, moved: int) -> None:
        """What is not used any more goes: whoever counts descriptors finds none that belong to nobody."""
        if self._train is not train:
            return
        if train.moved == moved and not train.waiting:
            self._end_train()
        else:
            self._loop.call_later(_KEPT_SECONDS, self._look_at_train, train, train.moved)

    def flush(self) -> None:
        self._dirty = False
        if not self.blocked:
            self._write()
        if self.blocked:
            unpin(self._queue, self._new)
            if self.queued > self.high_water and not self.full:
                self.full = True
                self.on_full()
        elif self._when_empty:
            self._call_waiting()
        self._new = 0

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call once all that waits has been taken: now, where nothing does."""
        if self.queued:
            self._when_empty.append(call)
        else:
            call()

    def _emptied(self) -> None:
        self.on_empty()
        self._call_waiting()

    def _call_waiting(self) -> None:
        waiting, self._when_empty = self._when_empty, []
        call_all(self._loop, iter(waiting))

    def _wrote(self, count: int) -> None:
        self.written += count
        if self._on_taken is not None:
            self._on_taken(count)

    def _writable(self) -> None:
        self._flusher.begin()
        self.taken_at = self._loop.time()
        try:
            self._write()
            if self.full and self.queued <= self.high_water // 2:
                self.full = False
                self.on_room()
            if not self.queued:
                self._emptied()
        finally:
            self._flusher.flush()

    def _write(self) -> None:
        queue = self._queue
        if self._train is not None and self._train.waiting and not self._depart(self._train):
            return
        while queue:
            try:
                if len(queue) == 1:
                    asked = len(queue[0])
                    done = os.write(self.fd, queue[0])
                else:
                    pieces = list(islice(queue, _IOV_MAX))
                    asked = sum(map(len, pieces))
                    if asked >= _JOIN_BELOW * len(pieces):
                        done = os.writev(self.fd, pieces)
                    elif len(queue[0]) < PIPE_BYTES:
                        join(queue, len(pieces))
                        continue
                    else:  # what is left of pieces that were joined before: to join it again would copy it again
                        asked = len(queue[0])
                        done = os.write(self.fd, queue[0])
            except BlockingIOError:
                self._wait_writable()
                return
            except OSError as error:
                self._break(error.strerror or str(error))
                return
            self._wrote(done)
            if done == self.queued:
                queue.clear()
                self.queued = 0
                break
            drop(queue, done)
            self.queued -= done
            if done < asked:
                if self._may_enlarge and done >= 32_768:
                    self._may_enlarge = False
                    if self._budget.enlarge(self.fd):
                        self._enlarged = True
                        continue
                self._wait_writable()
                return
        if self.blocked:
            self.blocked = False
            self._poller.watch_write(self.fd, None)

    def _depart(self, train: Train) -> bool:
        """Have the train leave; False where some of it must wait."""
        try:
            while train.waiting:
                done = train.leave(self.fd)
                self.queued -= done
                self._wrote(done)
        except BlockingIOError:
            if self._may_enlarge:
                self._may_enlarge = False
                if self._budget.enlarge(self.fd):
                    self._enlarged = True
                    return self._depart(train)
            self._wait_writable()
            return False
        except OSError as error:
            if error.errno == errno.EPIPE:
                self._break(error.strerror or str(error))
                return False
            self._may_load = False  # not to a file that is appended to
            self._queue.extendleft(reversed(train.unload()))
            self._end_train()
        return True

    def _end_train(self) -> None:
        train, self._train = self._train, None
        if train is not None:
            self.queued -= train.waiting
            train.close()

    def _wait_writable(self) -> None:
        if not self.blocked:
            self.blocked = True
            self.taken_at = self._loop.time()
            self._poller.watch_write(self.fd, self._writable)

    def _break(self, reason: str) -> None:
        self.broken = True
        self.lose_queue()
        if self.blocked:
            self.blocked = False
            self._poller.watch_write(self.fd, None)
        self._on_broken(reason)

    def lose_queue(self) -> None:
        """What waits is for `on_lost`."""
        self.on_lost(list(self._queue))
        self.drop_queue()

    def drop_queue(self) -> None:
        """Nothing that waits goes out any more."""
        self._end_train()
        self._queue.clear()
        self.queued = 0

    def close(self) -> None:
        """Write no more, for good: the other side sees the end of its input. What is queued is dropped."""
        if self.fd >= 0:
            self.drop_queue()
            self.broken = True
            if self.blocked:
                self.blocked = False
                self._poller.watch_write(self.fd, None)
            if self._socket:
                shut(self.fd)
            if self._enlarged:
                self._enlarged = False
                self._budget.give_back()
            os.close(self.fd)
            self.fd = -1


def shut(fd: int) -> None:
    """Tell the other side of a socket that nothing more will be written."""
    sock = socket.socket(fileno=fd)  # the same descriptor: where none is left there is no other
    with contextlib.suppress(OSError):  # refused where the other side is gone: then there is nobody to tell
        sock.shutdown(socket.SHUT_WR)
    sock.detach()
