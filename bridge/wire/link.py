"""A framed byte stream in both directions over two descriptors. The front end is one; each helper has one.

Reading: bytes are read as soon as they are there, `read_bytes` at most in one turn, and handed to `on_chunk`.

Writing: `put` only queues. All that one turn of the event loop queued for a link goes out in one write at the end of
that turn (`Flusher`); what the descriptor does not take waits in the outbox until it is writable again. The outbox is
bounded by whoever fills it: `on_full` tells when `high_water` is passed, `on_room` when half of that is gone.

Moving: what is still missing of a large frame, once all of it is there, goes from one pipe to the other without
having been read (`move`, splice(2)).
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
import sys
import termios
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, cast

from spanbridge.protocol.frames import Buffer, Span

from .flusher import Flusher
from .pipe_budget import PipeBudget
from .poller import Poller

_IOV_MAX: Final = 1_024  # sysconf(_SC_IOV_MAX) of every Linux
_PIPE_BYTES: Final = 65_536  # what a pipe holds at birth (pipe(7)); one that was full is worth enlarging
REST_BYTES: Final = 16_384  # missing from a frame: from here on it is worth moving them instead of reading them
_HEAD_BYTES: Final = 1_024  # read of a frame that is likely to be moved
_MOVES: Final = 8  # frames moved in one turn, before the others have theirs
_JOIN_BELOW: Final = 2_048  # bytes a piece; smaller ones are cheaper to copy together than to list for the kernel


class Link:
    """One framed stream. Owns both descriptors: `close` and `close_out` close them.

    `on_chunk(bytes)` gets what was read, `on_end(reason)` is called once when nothing more can be read (reason None:
    end of file) and `on_broken(reason)` once when nothing more can be written. `may_read` is asked before each
    read: when it says no the link stops reading until `resume`.
    """

    __slots__ = (
        "_budget",
        "_dirty",
        "_enlarged",
        "_file",
        "_flusher",
        "_in_pipe",
        "_loop",
        "_may_enlarge_in",
        "_may_enlarge_out",
        "_may_move",
        "_moved",
        "_new",
        "_out_socket",
        "_poller",
        "_queue",
        "_read_bytes",
        "_reading",
        "_size",
        "_there",
        "blocked",
        "broken",
        "full",
        "high_water",
        "in_fd",
        "may_read",
        "on_broken",
        "on_chunk",
        "on_empty",
        "on_end",
        "on_full",
        "on_room",
        "out_fd",
        "paused",
        "queued",
        "resumed_at",
        "taken_at",
        "written",
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
        self._loop = loop
        self._poller = poller
        self._flusher = flusher
        self._budget = budget
        self._enlarged: list[int] = []
        self.in_fd = in_fd
        self.out_fd = out_fd
        self._read_bytes = read_bytes
        self._size = min(_PIPE_BYTES, read_bytes)  # bytes asked for in one read
        self.high_water = high_water
        self.on_chunk = on_chunk
        self.on_end = on_end
        self.on_broken = on_broken
        self.may_read: Callable[[], bool] = _always
        self.on_full: Callable[[], None] = _nothing
        self.on_room: Callable[[], None] = _nothing
        self.on_empty: Callable[[], None] = _nothing
        self.queued = 0  # bytes in the outbox
        self.written = 0  # bytes that out_fd has taken
        self.resumed_at = 0.0  # loop time when reading went on last
        self.taken_at = 0.0  # loop time when something that had to wait was taken last
        self.full = False
        self.broken = False
        self.paused = True
        self._reading = False  # whether the event loop watches in_fd
        self.blocked = False  # whether the descriptor took less than it was given; the event loop watches it then
        self._dirty = False
        self._new = 0  # pieces put since the last flush
        self._may_enlarge_in = self._may_enlarge_out = True
        self._queue: deque[Buffer] = deque()
        # The reading side of a socket keeps it open: the end of our output has to be said.
        self._out_socket = stat.S_ISSOCK(os.fstat(out_fd).st_mode)
        # What lies in a pipe stays there when its writer ends, and can be moved on.
        self._in_pipe = stat.S_ISFIFO(os.fstat(in_fd).st_mode)
        self._there = 0  # bytes that are there to be read at least, as far as was asked
        self._may_move = True  # whether the kernel moves to out_fd
        self._moved = False  # whether the end of the last chunk was moved on: then the next frame begins here
        self._file = False  # whether epoll will not have it: then each turn asks for the next one itself

    # Reading

    def resume(self) -> None:
        """Read on. Harmless where the link is reading already or has ended."""
        if self.paused and self.in_fd >= 0:
            self.paused = False
            self.resumed_at = self._loop.time()
            if not self._reading:
                self._reading = True
                self._watch()

    def _watch(self) -> None:
        if not self._file:
            try:
                self._poller.watch_read(self.in_fd, self._readable)
                return
            except PermissionError:  # epoll refuses what is always ready, such as files and /dev/null
                self._file = True
        self._loop.call_soon(self._readable)

    def pause(self) -> None:
        """Read no more until `resume`. The descriptor stays watched until it next has something to say: most
        pauses are over by then, and watching anew costs two system calls."""
        self.paused = True

    def _readable(self) -> None:
        if self.in_fd < 0:
            return
        for _ in range(_MOVES):
            if self.paused or not self.may_read():
                self.paused = True
                self._unwatch()
                return
            if not self._read() or not self._moved:
                break
        if self._file and self._reading:
            self._loop.call_soon(self._readable)

    def _read(self) -> bool:
        """Read once and have it dealt with; False where there is nothing (more)."""
        size = _HEAD_BYTES if self._moved else self._size
        try:
            chunk = os.read(self.in_fd, size)
        except BlockingIOError:
            return False
        except OSError as error:
            self.close_in()
            self.on_end(error.strerror)
            return False
        self._flusher.begin()
        try:
            if chunk:
                found = len(chunk)
                self._there -= found
                if found == size or size > _PIPE_BYTES:
                    self._adapt(found)
                self._moved = False
                self.on_chunk(chunk)
            else:
                self.close_in()
                self.on_end(None)
        finally:
            self._flusher.flush()
        return self.in_fd >= 0

    def _adapt(self, found: int) -> None:
        """Read more at once, from a larger pipe, where so much comes; memory that is not filled costs time too."""
        if self._moved:
            return
        if found == self._size:
            self._size = min(2 * found, self._read_bytes)
            if self._may_enlarge_in:
                self._may_enlarge_in = False
                self._enlarge(self.in_fd)
        elif found < self._size // 8:
            self._size = min(_PIPE_BYTES, self._read_bytes)

    def drain(self) -> bool:
        """Read once what is there now, whatever the pauses; False when there is nothing (more)."""
        if self.in_fd < 0:
            return False
        try:
            chunk = os.read(self.in_fd, self._read_bytes)
        except OSError:
            return False
        if chunk:
            self._there -= len(chunk)
            self.on_chunk(chunk)
            self._flusher.flush()
        return bool(chunk)

    def holds(self, count: int) -> bool:
        """Whether so many bytes are there to be read, in a pipe."""
        if self.in_fd < 0:
            return False
        if self._there < count and self._in_pipe:
            self._there = self.readable
        return self._there >= count

    def _take_in(self, count: int) -> tuple[list[Buffer], int]:
        """The next `count` bytes, all of which were there; and how many of them are not there any more."""
        pieces: list[Buffer] = []
        while count:
            try:
                piece = os.read(self.in_fd, count)
            except BlockingIOError:
                break
            if not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        self._there = 0
        return pieces, count

    @property
    def readable(self) -> int:
        """Bytes that are there to be read."""
        if self.in_fd < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(self.in_fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def _unwatch(self) -> None:
        if self._reading:
            self._reading = False
            if not self._file:
                self._poller.watch_read(self.in_fd, None)

    # Writing

    def put(self, data: Span) -> None:
        """Queue `data`, whole frames, to go out at the end of this turn. Dropped once the link is broken."""
        if self.broken:
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

    def move(self, held: Span, source: "Link", count: int) -> int:
        """Send a frame of which `held` was read, and the other `count` bytes are in the pipe that `source` reads.

        What the descriptor takes at once is moved there by the kernel, the rest is read and queued: nobody waits for
        this link, and it is never left with half a frame: what somebody else has taken out of the pipe meanwhile is
        made up with zeros. How many: where it is not 0 nothing of `source` can be trusted any more.
        """
        self.put(held)
        self.flush()
        try:
            while count and self._may_move and not self.blocked and not self.broken:
                done = os.splice(source.in_fd, self.out_fd, count, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
                if not done:
                    break
                source._there -= done
                self.written += done
                count -= done
        except BlockingIOError:
            pass  # it is full
        except OSError as error:
            if error.errno == errno.EPIPE:
                self._break(error.strerror or str(error))
            else:  # neither is a pipe, or it is in append mode
                self._may_move = False
        source._moved = True
        if not count:
            return 0
        rest, lost = source._take_in(count)
        self.put([*rest, bytes(lost)])
        return lost

    def flush(self) -> None:
        self._dirty = False
        if not self.blocked:
            self._write()
        if self.blocked:
            self._unpin()
            if self.queued > self.high_water and not self.full:
                self.full = True
                self.on_full()
        self._new = 0

    def _writable(self) -> None:
        self._flusher.begin()
        self.taken_at = self._loop.time()
        try:
            self._write()
            if self.full and self.queued <= self.high_water // 2:
                self.full = False
                self.on_room()
            if not self._queue:
                self.on_empty()
        finally:
            self._flusher.flush()

    def _write(self) -> None:
        queue = self._queue
        while queue:
            try:
                if len(queue) == 1:
                    asked = len(queue[0])
                    done = os.write(self.out_fd, queue[0])
                else:
                    pieces = list(islice(queue, _IOV_MAX))
                    asked = sum(map(len, pieces))
                    if asked >= _JOIN_BELOW * len(pieces):
                        done = os.writev(self.out_fd, pieces)
                    elif len(queue[0]) < _PIPE_BYTES:
                        self._join(pieces)
                        continue
                    else:  # what is left of pieces that were joined before: to join it again would copy it again
                        asked = len(queue[0])
                        done = os.write(self.out_fd, queue[0])
            except BlockingIOError:
                self._wait_writable()
                return
            except OSError as error:
                self._break(error.strerror or str(error))
                return
            self.written += done
            if done == self.queued:
                queue.clear()
                self.queued = 0
                break
            self._take(done)
            if done < asked:
                if self._may_enlarge_out and done >= 32_768:
                    self._may_enlarge_out = False
                    if self._enlarge(self.out_fd):
                        continue
                self._wait_writable()
                return
        if self.blocked:
            self.blocked = False
            self._poller.watch_write(self.out_fd, None)

    def _join(self, pieces: list[Buffer]) -> None:
        """Make the first pieces of the outbox one."""
        for _ in pieces:
            self._queue.popleft()
        self._queue.appendleft(b"".join(pieces))

    def _take(self, count: int) -> None:
        """Remove the first `count` bytes from the outbox."""
        queue = self._queue
        self.queued -= count
        while count:
            first = queue[0]
            if len(first) > count:
                queue[0] = memoryview(first)[count:]
                return
            count -= len(first)
            queue.popleft()

    def _unpin(self) -> None:
        """See to it that what stays in the outbox keeps at most twice its bytes in memory.

        A view keeps its whole chunk. Neighbours of one chunk are looked at together; where they are less than half
        of it, they are copied and the chunk let go.
        """
        queue = self._queue
        last = len(queue)
        while last > max(0, len(queue) - self._new):
            chunk = _chunk_of(queue[last - 1])
            first, kept = last - 1, len(queue[last - 1])
            while chunk is not None and first and _chunk_of(queue[first - 1]) is chunk and 2 * kept < len(chunk):
                first -= 1
                kept += len(queue[first])
            if chunk is not None and 2 * kept < len(chunk):
                for index in range(first, last):
                    queue[index] = bytes(queue[index])
            last = first

    def _enlarge(self, fd: int) -> bool:
        if not self._budget.enlarge(fd):
            return False
        self._enlarged.append(fd)
        return True

    def _wait_writable(self) -> None:
        if not self.blocked:
            self.blocked = True
            self.taken_at = self._loop.time()
            self._poller.watch_write(self.out_fd, self._writable)

    def _break(self, reason: str) -> None:
        self.broken = True
        self.drop_queue()
        if self.blocked:
            self.blocked = False
            self._poller.watch_write(self.out_fd, None)
        self.on_broken(reason)

    def drop_queue(self) -> None:
        """Nothing that waits goes out any more."""
        self._queue.clear()
        self.queued = 0

    # The end

    def close_in(self) -> None:
        """Read no more, for good."""
        if self.in_fd >= 0:
            self.paused = True
            self._unwatch()
            self._close(self.in_fd)
            self.in_fd = -1

    def close_out(self) -> None:
        """Write no more, for good: the other side sees the end of its input. What is queued is dropped."""
        if self.out_fd >= 0:
            self.drop_queue()
            self.broken = True
            if self.blocked:
                self.blocked = False
                self._poller.watch_write(self.out_fd, None)
            if self._out_socket:
                _shut(self.out_fd)
            self._close(self.out_fd)
            self.out_fd = -1

    def close(self) -> None:
        self.close_in()
        self.close_out()

    def _close(self, fd: int) -> None:
        if fd in self._enlarged:
            self._enlarged.remove(fd)
            self._budget.give_back()
        os.close(fd)


def _shut(fd: int) -> None:
    with socket.socket(fileno=os.dup(fd)) as sock, contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)  # refused where the other side is gone: then there is nobody to tell


def _chunk_of(piece: Buffer) -> bytes | None:
    """What a view is a part of; None for what is no view."""
    return cast("bytes", piece.obj) if isinstance(piece, memoryview) else None


def _always() -> bool:
    return True


def _nothing() -> None:
    pass
