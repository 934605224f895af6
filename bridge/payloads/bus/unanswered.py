"""Calls that wait for their answers on a bus, never more than it lets one connection have.

dbus-daemon takes 128 of a connection to the system bus, and answers any further one with an error: a page that asks for
the properties of all units at once would be told that they cannot be loaded. So what is too much waits here, in its
order, until earlier calls are answered.

Where none is answered for a while, what waits goes out all the same: an answer may depend on it, and the bus decides.
Those that were out by then may never be answered, so that many, and some, may be out from then on.
"""

from collections import deque
from collections.abc import Callable

from ...wire.context import Context
from ..front_end import FrontEnd
from . import message as wire
from .match_rule import BUS_NAME
from .message import Message


class Unanswered:
    """Sends the messages of one connection to a bus, by `send`, which is given bytes and descriptors."""

    def __init__(self, context: Context, front: FrontEnd, send: Callable[[bytes, tuple[int, ...]], None]) -> None:
        self._loop = context.loop
        self._limits = context.limits
        self._log = context.log
        self._front = front
        self._send = send
        self._serials: set[int] = set()  # of calls that were sent and are not answered
        self._waiting: deque[tuple[int | None, bytes]] = deque()  # None: it wants no answer
        self._bytes = 0
        self._most = context.limits.dbus_sent_calls  # serials at a time
        self._full = False
        self._answers = 0  # that have come, since something waits
        self._timer: object = None

    def send(self, message: Message, serial: int, data: bytes) -> None:
        """Send a message, now or later. What the bus itself answers, and what answers others, never waits."""
        if message.kind not in (wire.CALL, wire.SIGNAL) or message.destination == BUS_NAME or message.fds:
            self._send(data, tuple(message.fds))
            return
        wants_answer = message.kind == wire.CALL and not message.flags & wire.NO_REPLY
        if self._waiting or (wants_answer and len(self._serials) >= self._most):
            self._wait(serial if wants_answer else None, data)
            return
        if wants_answer:
            self._serials.add(serial)
        self._send(data, ())

    def answered(self, serial: int) -> None:
        """The answer to a call has come, whether anybody wants it or not."""
        self._serials.discard(serial)
        if len(self._serials) < self._limits.dbus_sent_calls:
            self._most = self._limits.dbus_sent_calls
        if self._waiting:
            self._answers += 1
            self._go_on(self._most)

    def _wait(self, serial: int | None, data: bytes) -> None:
        self._waiting.append((serial, data))
        self._bytes += len(data)
        if self._bytes > self._limits.dbus_queue_bytes and not self._full:
            self._full = True
            self._log.limit("dbus_queue_bytes", self._limits.dbus_queue_bytes)
            self._front.block(self)
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.dbus_sent_seconds, self._look, self._answers)

    def _go_on(self, most: float) -> None:
        while self._waiting and (self._waiting[0][0] is None or len(self._serials) < most):
            serial, data = self._waiting.popleft()
            self._bytes -= len(data)
            if serial is not None:
                self._serials.add(serial)
            self._send(data, ())
        if self._full and self._bytes <= self._limits.dbus_queue_bytes // 2:
            self._full = False
            self._front.unblock(self)

    def _look(self, answers: int) -> None:
        self._timer = None
        if self._answers == answers:
            self._go_on(float("inf"))
            self._most = len(self._serials) + self._limits.dbus_sent_more
        if self._waiting:
            self._timer = self._loop.call_later(self._limits.dbus_sent_seconds, self._look, self._answers)

    def end(self) -> None:
        """The connection is no more: what waits goes out if it still can."""
        self._go_on(float("inf"))
        self._front.unblock(self)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()  # type: ignore[attr-defined]
