"""Plays one side of a recording: each frame is sent once the frames have come that had come before it."""

import select
import time
from collections import Counter
from typing import NamedTuple

from ..complain import complain
from ..signals import Woken
from ..terminal import Paint
from .channel_ids import ChannelIds
from .comparison import Comparison
from .record_text import text
from .recording import Describer, Direction, Record
from .script import Kind, Step, frame, kind
from .wire import Wire


class Side(NamedTuple):
    """Which direction of a recording a side sends, and which it receives."""

    sends: Direction
    receives: Direction


class Player:
    """`secrets`: responses that were left out, by number of frame. `timeout` and `timing`: see `run`.

    `told`: how to paint the frames as they are told on stderr; None for not at all.
    """

    def __init__(
        self,
        script: list[Step],
        side: Side,
        secrets: dict[int, str],
        comparison: Comparison,
        timeout: float,
        timing: bool,
        told: Paint | None,
    ) -> None:
        self.comparison = comparison
        self.sent = 0
        self._script = script
        self._side = side
        self._secrets = secrets
        self._timeout = timeout
        self._timing = timing
        self._told = told
        self._describer = Describer(None)
        self._ids = ChannelIds([step.record for step in script if step.what == "expect"])
        self._cookies = [cookie for step in script if step.what == "expect" and (cookie := _question(step.record))]
        self._cookies_now: list[str] = []
        self._at = 0  # in the script
        self._last = max((at for at, step in enumerate(script) if step.what == "send"), default=-1)
        self._passed: Counter[Kind] = Counter()  # frames that were waited for
        self._ended = False  # the other has closed its side
        self._began = 0.0

    def run(self, wire: Wire, woken: Woken) -> int | None:
        """Play until both sides have ended; None, or the number of the signal that came.

        0 if nothing came for `timeout` seconds. With `timing` no frame is sent earlier than it was in the recording.
        """
        self._began = time.monotonic()
        deadline = self._began + self._timeout
        while True:
            at = self._at
            self._advance(wire)
            if self._ended and not wire.waiting and not self._may_go_on():
                return None
            due = self._due()
            if at != self._at or due:
                deadline = time.monotonic() + self._timeout
            poll = select.poll()
            poll.register(woken.fd, select.POLLIN)
            wire.register(poll)
            events = dict(poll.poll(max(0.0, (due or deadline) - time.monotonic()) * 1000 + 1))
            if woken.fd in events and (numbers := woken.take()):
                return numbers[0]
            self._read(wire, events)
            if events:
                deadline = time.monotonic() + self._timeout
            elif not due:
                self.comparison.note(f"nothing came for {self._timeout:g} s while it waited for {self._awaited()}")
                return 0

    def _may_go_on(self) -> bool:
        return self._at < len(self._script) and self._script[self._at].what == "send"

    def _advance(self, wire: Wire) -> None:
        """Do all that need not wait."""
        while self._at < len(self._script):
            step = self._script[self._at]
            if step.what == "expect":
                counted = kind(step.record)
                if self.comparison.arrived[counted] <= self._passed[counted]:
                    return
                self._passed[counted] += 1
            elif step.what == "expect end":
                if not self._ended and self._at > self._last:
                    return
            elif step.what == "hang up":
                wire.hang_up()
            elif self._due() or wire.waiting:
                return
            else:
                self._send(step, wire)
            self._at += 1
        wire.hang_up()

    def _due(self) -> float | None:
        """When the next frame may be sent, if that is later."""
        if not self._timing or not self._may_go_on():
            return None
        due = self._began + self._script[self._at].record.t
        return due if due > time.monotonic() else None

    def _send(self, step: Step, wire: Wire) -> None:
        record = self._ids.now(self._now(step))
        data = frame(record)
        wire.send(data)
        self.sent += 1
        for shown in self._describer.feed(self._side.sends, data, time.monotonic() - self._began):
            self._tell(shown)

    def _now(self, step: Step) -> Record:
        """What to send: an answer is given to the question of now, with the secret that was left out."""
        message = step.record.message
        if message is None or message.get("command") != "authorize" or "response" not in message:
            return step.record
        message = dict(message)
        if step.number in self._secrets:
            message["response"] = self._secrets[step.number]
        if message.get("cookie") in self._cookies:
            asked = self._cookies.index(message["cookie"])
            message["cookie"] = self._cookies_now[asked] if asked < len(self._cookies_now) else message["cookie"]
        return Record(step.record.t, step.record.dir, message=message)

    def _read(self, wire: Wire, events: dict[int, int]) -> None:
        """Compare what has come."""
        found = wire.step(events)
        if found is None:
            self._ended = True
            if wire.unfinished:
                self.comparison.note(f"it ended {wire.unfinished} bytes into a frame")
            return
        for each in found:
            got = self._describer.describe(self._side.receives, each, time.monotonic() - self._began)
            if cookie := _question(got):
                self._cookies_now.append(cookie)
            self._tell(got, self.comparison.take(self._ids.recorded(got)))

    def _awaited(self) -> str:
        if self._at >= len(self._script) or self._script[self._at].what != "expect":
            return "its end"
        step = self._script[self._at]
        name, channel = kind(step.record)
        return f"{name}{f' on channel {channel}' if channel else ''}, frame {step.number} (line {step.line})"

    def _tell(self, record: Record, difference: str = "") -> None:
        if self._told is not None:
            complain(text(record, self._told) + self._told("red", " (differs)" if difference else ""))


def _question(record: Record) -> str:
    """The cookie of the question that a frame asks, if it does."""
    message = record.message
    if message is None or message.get("command") != "authorize" or "challenge" not in message:
        return ""
    return str(message.get("cookie"))
