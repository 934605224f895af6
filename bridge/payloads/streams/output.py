"""What is read from a program, terminal or socket, and sent on a channel, in the front end's turns.

On a raw channel a large message is moved: its header is ours, its bytes go from descriptor to descriptor without
having been read. A terminal gives 4 KiB at a time, so several reads make one message.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Final

from ...wire.context import Context
from ...wire.pipe_budget import PIPE_BYTES
from ...wire.source import Source
from ..served.channel import MESSAGE_BYTES, Channel

MOVE_BYTES: Final = 16 << 10
"""From here on a message is worth moving instead of reading it."""

_MOST_LATENCY: Final = 24 * 3_600 * 1_000  # milliseconds: a timer takes no number without end
_MESSAGES: Final = 4  # in one turn, before the others have theirs
_TERMINAL_BYTES: Final = 4_096  # what one read of a terminal gives at most


class Output:
    """Owns the descriptor. `on_end(error)` is called once, when nothing more can be read: None at the end of it."""

    __slots__ = (
        "_batch",
        "_budget",
        "_channel",
        "_collected",
        "_enlarged",
        "_flusher",
        "_is_terminal",
        "_large",
        "_latency",
        "_loop",
        "_may_enlarge",
        "_on_end",
        "_poller",
        "_source",
        "_timer",
        "_watching",
    )

    def __init__(
        self,
        context: Context,
        channel: Channel,
        fd: int,
        on_end: Callable[[OSError | None], None],
        *,
        batch: int = 0,
        latency: int = 0,
        terminal: bool = False,
    ) -> None:
        """`batch` bytes are collected for up to `latency` milliseconds; 0: every read is sent at once."""
        self._loop = context.loop
        self._poller = context.poller
        self._flusher = context.flusher
        self._budget = context.budget
        self._channel = channel
        self._source = Source(fd)
        self._on_end = on_end
        self._batch = min(batch, MESSAGE_BYTES)
        self._latency = _seconds(latency)
        self._is_terminal = terminal
        self._collected = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._large = False  # whether the last message was: then it is asked how much there is
        self._may_enlarge = True
        self._enlarged = False
        self._watching = False

    def start(self) -> None:
        self._watch()

    def adjust(self, batch: int | None, latency: int | None) -> None:
        """Other values for what comes from now on; None: as it is."""
        if batch is not None:
            self._batch = min(batch, MESSAGE_BYTES)
        if latency is not None:
            self._latency = _seconds(latency)
        if self._collected:
            self._deadline()
            self._send_when_due()

    def close(self) -> None:
        """Read no more, for good."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._source.fd >= 0:
            self._unwatch()
            if self._enlarged:
                self._enlarged = False
                self._budget.give_back()
            os.close(self._source.fd)
            self._source.fd = -1

    # Turns

    def _watch(self) -> None:
        if not self._watching and self._source.fd >= 0:
            self._watching = True
            self._poller.watch_read(self._source.fd, self._readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._poller.watch_read(self._source.fd, None)

    def _go_on(self) -> None:
        """The front end takes data again."""
        if self._collected and self._timer is None:
            self._send_when_due()
        self._watch()

    def _readable(self) -> None:
        self._flusher.turn(self._channel.guard, self._read_some)

    def _read_some(self) -> None:
        for _ in range(_MESSAGES):
            if self._source.fd < 0:
                return
            if not self._channel.may_send(self._go_on):
                self._unwatch()
                return
            if not self._read():
                return

    def _read(self) -> bool:
        """Read, or move, one message; False where there is no more now."""
        room = self._channel.room - len(self._collected)
        if room <= 0:  # what was collected is all that may be under way
            self._send_collected()
            return True
        source = self._source
        if self._large and self._channel.raw and not self._batch:
            if source.there < room:
                source.there = source.readable
            there = min(source.there, room)
            if there >= MOVE_BYTES:
                self._move(there)
                return source.there >= room  # less than that is left for the next turn, with what comes until then
            self._large = not there  # at the end of what was there: it goes on as it did, or is over
        try:
            data = self._read_terminal(room) if self._is_terminal else os.read(source.fd, room)
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(None if error.errno == errno.EIO else error)  # the other side of a terminal is gone
            return False
        source.there = 0
        if not data:
            self._end(None)
            return False
        self._adapt(len(data))
        if self._batch:
            self._collect(data)
        else:
            self._channel.send(data)
        return len(data) == room

    def _move(self, count: int) -> None:
        if self._channel.move(self._source, count):
            # A connection that was reset takes what it had brought with it.
            self._end(OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def _read_terminal(self, room: int) -> bytes:
        data = os.read(self._source.fd, min(room, _TERMINAL_BYTES))
        pieces, size = [data], len(data)
        while data and size <= room - _TERMINAL_BYTES:
            try:
                data = os.read(self._source.fd, _TERMINAL_BYTES)
            except OSError:  # nothing more now, or the end: the next read tells
                break
            pieces.append(data)
            size += len(data)
        return b"".join(pieces)

    def _adapt(self, found: int) -> None:
        self._large = found >= MOVE_BYTES
        if self._may_enlarge and found >= PIPE_BYTES:
            self._may_enlarge = False
            self._enlarged = self._budget.enlarge(self._source.fd)

    # Batches

    def _collect(self, data: bytes) -> None:
        self._collected += data
        if len(self._collected) >= self._batch:
            self._send_collected()
        elif self._timer is None:
            self._deadline()

    def _deadline(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._latency, self._due)

    def _due(self) -> None:
        self._timer = None
        self._send_when_due()

    def _send_when_due(self) -> None:
        if self._timer is not None and self._batch and len(self._collected) < self._batch:
            return
        if self._channel.may_send(self._go_on):
            self._send_collected()

    def _send_collected(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._collected:
            data, self._collected = bytes(self._collected), bytearray()
            self._channel.send(data)

    def _end(self, error: OSError | None) -> None:
        self._send_collected()
        self.close()
        self._on_end(error)


def _seconds(latency: int) -> float:
    return min(latency, _MOST_LATENCY) / 1000
