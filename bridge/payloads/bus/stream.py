"""A connected socket as messages in both directions. It has callbacks and no task, as the links of helpers."""

import array
import contextlib
import os
import socket
from asyncio import TimerHandle
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ...wire.context import Context
from ..front_end import FrontEnd
from .message import Head, Message, read_head, read_message
from .turns import TURN_SECONDS
from .unmarshal import Malformed

DESCRIPTORS: Final = 253
"""As many as the kernel passes at one time (unix(7))."""
TOGETHER: Final = 8
"""Messages that are written at once."""

_READ_BYTES: Final = 64 << 10
_FULL_BYTES: Final = 256 << 10  # asked for where the last read was full: memory is mapped anew for so much
_ANCILLARY: Final = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
_LEAST: Final = 16
# As plain numbers: `&` of a flag of an enum takes longer than the reading itself.
_CLOSE_ON_EXEC: Final = int(socket.MSG_CMSG_CLOEXEC)
_CUT: Final = int(socket.MSG_CTRUNC)
_NO_SIGNAL: Final = int(socket.MSG_NOSIGNAL)


class Stream:
    """`on_message` is given each message that comes, with its descriptors, which are then its own. `on_lost` is called
    once, with the reason in words, when no more will come."""

    def __init__(
        self,
        context: Context,
        front: FrontEnd,
        sock: socket.socket,
        rest: bytes,
        *,
        on_message: Callable[[Message], None],
        on_lost: Callable[[str], None],
        on_stuck: Callable[[], None],
    ) -> None:
        """`rest`: what was read of it already. `on_stuck`: it takes nothing, and its queue is full."""
        self._loop = context.loop
        self._poller = context.poller
        self._flusher = context.flusher
        self._log = context.log
        self._limits = context.limits
        self._front = front
        self._sock = sock
        self._fd = sock.fileno()
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_stuck = on_stuck
        self._buffer = bytearray(rest)
        self._size = _READ_BYTES  # bytes asked for in one read
        self._descriptors: deque[int] = deque()
        self._cut = 0  # bytes of the buffer: the messages that begin there have lost theirs
        self._turn = False  # whether a message of this turn has gone out already
        self._new: list[bytes] = []  # those after it
        self._out: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._watching = False  # for room
        self._queued = 0
        self._full = False
        self._timer: object = None
        self._rest_timer: TimerHandle | None = None  # while a message is not whole
        self._holders: set[object] = set()
        self.pauses = 0  # of the reading, that are over
        self._scheduled = False
        self._failed: str | None = None  # why nothing can be written any more
        self._open = True
        self._poller.watch_read(self._fd, self._readable)
        if rest:
            self._later()

    # From the bus

    @property
    def held(self) -> bool:
        return bool(self._holders)

    def hold(self, who: object) -> None:
        """Read no more until `release`."""
        if self._open and not self._holders:
            self._poller.watch_read(self._fd, None)
            self._stop_waiting_for_rest()
        self._holders.add(who)

    def release(self, who: object) -> None:
        """Harmless for who does not hold."""
        if who in self._holders:
            self._holders.discard(who)
            if self._open and not self._holders:
                self.pauses += 1
                self._poller.watch_read(self._fd, self._readable)
                self._later()

    def _readable(self) -> None:
        if self._holders or self._scheduled or not self._open:  # what was read comes first, and is not piled up
            return
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(self._size, _ANCILLARY, _CLOSE_ON_EXEC)
        except (BlockingIOError, InterruptedError):
            if self._failed is not None:
                self._lost(self._failed)
            return
        except OSError as error:
            self._lost(error.strerror or str(error))
            return
        if ancillary:
            self._keep(ancillary)
        if flags & _CUT:
            self._lose_descriptors(len(data))
        if not data:
            self._lost("it has closed the connection")
        else:
            self._size = _FULL_BYTES if len(data) == self._size else _READ_BYTES
            self._flusher.turn(self._came, data)
            self._count_descriptors()

    def _count_descriptors(self) -> None:
        """Those of the messages that are whole were given out; but not while somebody holds them."""
        waiting, most = len(self._descriptors), self._limits.dbus_descriptors_waiting
        if waiting > most and self._open and not self._holders:
            self._log.limit("dbus_descriptors_waiting", most)
            told = f"{waiting} descriptors of messages that are not whole, expected at most {most}"
            self._lost(f"{told} (dbus_descriptors_waiting)")

    def _keep(self, ancillary: Iterable[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                self._descriptors.extend(numbers)

    def _lose_descriptors(self, count: int) -> None:
        """There was no room for all that came with the last `count` bytes. Which are missing nobody says, so that none
        is given to the messages that are under way: each would have another one's."""
        self._log.warning("descriptor-not-kept", why="there was no room for it when it came")
        close_all(self._descriptors)
        self._descriptors.clear()
        self._cut = len(self._buffer) + count

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        self._scheduled = False
        self._heed()
        if self._failed is not None:
            self._drain()

    def _came(self, data: bytes) -> None:
        if not self._buffer and len(data) >= _LEAST and not self._scheduled:
            try:
                head = read_head(data, 0)
                if head.length == len(data):  # one message, as most reads are
                    cut, self._cut = self._cut, 0
                    self._give_out(data, head, cut=cut > 0)
                    return
            except Malformed as error:
                self._lost(f"what it sends is no D-Bus: {error}")
                return
        self._buffer += data
        self._heed()

    def _give_out(self, data: bytes, head: Head, *, cut: bool) -> None:
        message, count = read_message(data, head)
        self._on_message(message._replace(fds=self._claim(count)) if count and not cut else message)

    def _heed(self) -> None:
        """Give out the messages that are whole."""
        buffer, at = self._buffer, 0
        until = self._loop.time() + TURN_SECONDS
        try:
            while self._open and not self._holders and not self._scheduled and len(buffer) - at >= _LEAST:
                head = read_head(buffer, at)
                end = at + head.length
                if len(buffer) < end:
                    break
                cut = at < self._cut
                data, at = bytes(memoryview(buffer)[at:end]), end
                self._give_out(data, head, cut=cut)
                if self._loop.time() > until:
                    self._later()
        except Malformed as error:
            self._lost(f"what it sends is no D-Bus: {error}")
        del buffer[:at]
        self._cut = max(0, self._cut - at)
        self._stop_waiting_for_rest()
        if buffer and self._open and not self._holders and not self._scheduled:
            self._rest_timer = self._loop.call_later(self._limits.stall_seconds, self._stalled)

    def _stop_waiting_for_rest(self) -> None:
        timer, self._rest_timer = self._rest_timer, None
        if timer is not None:
            timer.cancel()

    def _stalled(self) -> None:
        seconds = self._limits.stall_seconds
        self._log.limit("stall_seconds", seconds)
        self._lost(f"a message is not whole, and nothing more came for {seconds:g} seconds (stall_seconds)")

    def _claim(self, count: int) -> list[int]:
        if count > len(self._descriptors):
            raise Malformed(f"a message with {count} descriptors, of which {len(self._descriptors)} came")
        return [self._descriptors.popleft() for _ in range(count)]

    # To the bus

    def send(self, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        """A whole message. `descriptors` stay the caller's: duplicates are kept while they wait."""
        if not self._open:
            return
        if descriptors:
            self._put_new()
            self._put(data, tuple(map(os.dup, descriptors)))
            return
        if not self._turn:  # the bus is at work on it while the rest of the turn is done
            self._turn = True
            self._flusher.add(self)
            self._put(data, ())
            return
        self._new.append(data)  # what comes after it in the same turn goes out together,
        if len(self._new) >= TOGETHER:  # but not so much that the bus would have nothing to do meanwhile
            self._put_new()

    def flush(self) -> None:
        """The turn is over: write what is new."""
        self._turn = False
        if self._new:
            self._put_new()

    def _put_new(self) -> None:
        new, self._new = self._new, []
        if new:
            self._put(new[0] if len(new) == 1 else b"".join(new), ())

    def _put(self, data: bytes, descriptors: tuple[int, ...]) -> None:
        if not self._takes():
            close_all(descriptors)
            return
        sent = self._write_first(data, descriptors) if not self._out else 0
        if sent:
            close_all(descriptors)
            descriptors = ()
            if sent == len(data):
                return
        if not self._takes():
            close_all(descriptors)
            return
        self._queued += len(data) - sent
        self._out.append((memoryview(data)[sent:], descriptors))
        if not self._watching:
            self._watching = True
            self._poller.watch_write(self._fd, self._writable)
        if self._queued > self._limits.dbus_queue_bytes and not self._full:
            self._full = True
            self._log.limit("dbus_queue_bytes", self._limits.dbus_queue_bytes)
            self._front.block(self)
            self._watch_for_progress()

    def _takes(self) -> bool:
        return self._open and self._failed is None

    def _write_first(self, data: bytes, descriptors: tuple[int, ...]) -> int:
        """How much was taken of what nothing waits before."""
        try:
            return self._write(data, descriptors)
        except OSError as error:
            self._fail_later(error)
            return 0

    def _write(self, data: "bytes | memoryview", descriptors: tuple[int, ...]) -> int:
        """How much was taken. Raises OSError."""
        try:
            if not descriptors:
                return self._sock.send(data, _NO_SIGNAL)
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            return self._sock.sendmsg([data], ancillary, _NO_SIGNAL)
        except (BlockingIOError, InterruptedError):
            return 0

    def _writable(self) -> None:
        while self._open and self._out:
            data, descriptors = self._out[0]
            try:
                sent = self._write(data, descriptors)
            except OSError as error:
                self._fail_later(error)
                return
            if not sent:
                return
            self._out.popleft()
            close_all(descriptors)
            if sent < len(data):
                self._out.appendleft((data[sent:], ()))
            self._took(sent)
        if self._open and self._watching:
            self._watching = False
            self._poller.watch_write(self._fd, None)

    def _took(self, count: int) -> None:
        self._queued -= count
        if self._full and self._queued <= self._limits.dbus_queue_bytes // 2:
            self._full = False
            self._front.unblock(self)
            self._stop_timer()
        elif self._full:
            self._watch_for_progress()

    def _watch_for_progress(self) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(self._limits.stuck_seconds, self._on_stuck)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()  # type: ignore[attr-defined]

    # The end

    def _fail_later(self, error: OSError) -> None:
        """Not at once: whoever sends does not expect to be ended by it. What came before is read, as far as the front
        end takes it."""
        if self._watching:
            self._watching = False
            self._poller.watch_write(self._fd, None)
        self._failed = error.strerror or str(error)
        self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        if self._holders and self._failed is not None:
            self._lost(self._failed)
        self._readable()
        if self._open and not self._scheduled:
            self._loop.call_soon(self._drain)

    def _lost(self, reason: str) -> None:
        if self._open:
            self.close()
            self._on_lost(reason)

    def close(self) -> None:
        """Harmless a second time."""
        if not self._open:
            return
        self._put_new()  # what was said in this turn goes out as what was said in earlier ones
        self._open = False
        self._poller.watch_read(self._fd, None)
        if self._watching:
            self._poller.watch_write(self._fd, None)
        self._stop_timer()
        self._stop_waiting_for_rest()
        self._front.unblock(self)
        close_all(self._descriptors)
        for _, descriptors in self._out:
            close_all(descriptors)
        self._descriptors.clear()
        self._out.clear()
        self._sock.close()


def close_all(descriptors: Iterable[int]) -> None:
    for each in descriptors:
        with contextlib.suppress(OSError):  # a disk may fail that late: the descriptor is gone all the same
            os.close(each)
