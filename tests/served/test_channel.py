"""One channel, as a state machine beside a model that is slow and obvious: whatever the front end says, whatever the
payload does, and whenever the front end takes what it is told.

The model keeps two lists: what the front end should have heard by now, and what of its data was not taken.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.manifests.model import Catalog
from spanbridge.payloads.base import Port, Services
from spanbridge.payloads.served.backlog import MESSAGE_BYTES
from spanbridge.payloads.served.channel import Channel
from spanbridge.payloads.served.options import Options
from spanbridge.protocol.control import control
from spanbridge.protocol.frames import Span, encode, join
from spanbridge.protocol.problems import TERMINATED, Problem
from spanbridge.testing.frames import Decoder
from spanbridge.wire.children import Children
from spanbridge.wire.context import Context
from spanbridge.wire.flusher import Flusher
from spanbridge.wire.front import Front
from spanbridge.wire.pipe_budget import PipeBudget
from spanbridge.wire.poller import Poller
from spanbridge.wire.watchdog import Watchdog

from ..protocol.determined import examples

WINDOW = 40_000
QUEUE = 5_000
SELDOM = st.integers(0, 7)  # 0: what ends a channel comes to pass


class Kept:
    """A payload that keeps what it is told, until it is told to take it."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.told: list[str] = []
        self.ended = 0

    def data(self, data: Span, nbytes: int) -> None:
        self.waiting.append(bytes(join(data)))
        assert len(self.waiting[-1]) == nbytes

    def done(self) -> None:
        self.told.append("done")

    def command(self, command: str, message: dict[str, Any]) -> None:
        self.told.append(command)

    def end(self) -> None:
        self.ended += 1


class Serving(RuleBasedStateMachine):
    @initialize(raw=st.booleans(), flow=st.booleans(), acks=st.booleans(), at_once=st.booleans())
    def open(self, raw: bool, flow: bool, acks: bool, at_once: bool) -> None:
        self.loop = asyncio.new_event_loop()
        limits = Limits(window_bytes=WINDOW, channel_queue_bytes=QUEUE)
        log = Log()
        budget = PipeBudget(limits.large_pipes, limits.pipe_bytes)
        context = Context(
            self.loop, Poller(), Flusher(self.loop), budget, limits, log, Watchdog(print), Children(self.loop)
        )
        descriptors = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
        self.front = Front(
            context, *descriptors, on_chunk=lambda _: None, on_end=lambda _: None, on_broken=lambda _: None
        )
        nothing: Callable[..., Any] = lambda *_: None  # noqa: E731
        services = Services(
            context,
            self.front,
            nothing,  # type: ignore[arg-type]
            {},
            catalog=Catalog,
            reload=nothing,
            front_drained=nothing,
            end_session=nothing,
        )
        self.frames: list[Any] = []  # told to the front end
        self.decoder = Decoder()
        self.port = Port("c", self._put, self._closed)
        options = {"payload": "test", "flow-control": flow}
        self.raw, self.flow, self.acks = raw, flow, acks
        if raw:
            options["binary"] = "raw"
        if acks:
            options["send-acks"] = "bytes"
        self.payload = Kept()
        self.channel = Channel(self.port, Options(options), services).serve(self.payload)
        self.port.made()
        self.expected: list[Any] = []  # what the front end is to hear, in order
        self.untaken: list[tuple[str, int]] = []  # ("data", bytes), ("ping", number)
        self.weight = 0  # of the data in it, what messages count themselves included
        self.early: list[int] = []  # pings before ready
        self.is_ready = self.is_done = self.input_over = self.over = False
        self.sent = self.acknowledged = self.pings = 0
        self.wakes = 0
        self.wanted = False
        if at_once:
            self._make_ready()

    def _put(self, data: Span) -> None:
        self.frames += self.decoder.feed(bytes(join(data)))

    def _closed(self, ident: bytes, frame: bytes) -> None:
        self.frames += self.decoder.feed(frame)
        self.port.shut()
        self.channel.end()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.front.link.close()
            self.loop.close()

    # The payload

    @rule()
    def ready(self) -> None:
        self._make_ready()

    def _make_ready(self) -> None:
        if not self.is_ready:
            self.channel.ready(x=1)
            self.is_ready = True
            if not self.over:
                self.expected.append({"command": "ready", "channel": "c", "x": 1})
                self.expected += [self._pong(number) for number in self.early]
            self.early = []

    @precondition(lambda self: self.is_ready and not self.is_done)
    @rule(size=st.integers(0, 200_000), unit=st.booleans())
    def send(self, size: int, unit: bool) -> None:
        if not self.channel.may_send(self._wake):
            self.wanted = self.wanted or not self.over
            assert self.over or self.sent - self.acknowledged >= WINDOW
            return
        if unit:
            self.channel.send_unit(b"u" * size)
            self._data(size)
            return
        size = min(size, self.channel.room)
        self.channel.send(b"x" * size)
        if size:
            self._data(size)

    def _wake(self) -> None:
        self.wakes += 1

    def _data(self, size: int) -> None:
        if self.over:
            return
        self.expected.append(size)
        passed = (self.sent + size) // 16_384 > self.sent // 16_384
        self.sent += size
        if self.flow and passed:
            self.expected.append({"command": "ping", "channel": "c", "sequence": self.sent})

    @precondition(lambda self: self.is_ready)
    @rule()
    def done(self) -> None:
        self.channel.done()
        if not self.over and not self.is_done:
            self.expected.append({"command": "done", "channel": "c"})
        self.is_done = True

    @rule(problem=st.booleans(), seldom=SELDOM)
    def close(self, problem: bool, seldom: int) -> None:
        if seldom:
            return
        self.channel.close(Problem(TERMINATED, "so it goes") if problem else None, tag="x")
        told = {"command": "close", "channel": "c", "tag": "x"}
        self._end({**told, "problem": TERMINATED, "message": "so it goes"} if problem else told)

    def _end(self, told: dict[str, Any]) -> None:
        if not self.over:
            self.expected.append(told)
            self.over = True
            self.untaken = []

    @precondition(lambda self: not self.over)
    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        """The payload passes on some of what it was told."""
        for _ in range(min(count, len(self.payload.waiting))):
            size = len(self.payload.waiting.pop(0))
            self.channel.taken(size)
            self.weight -= self.weight * size // (self._waiting or 1)
            if size:  # else its turn has come already
                assert self.untaken[0] == ("data", size)
                self._say(self.untaken.pop(0))
            self._settle()

    @property
    def _waiting(self) -> int:
        """Bytes."""
        return sum(size for what, size in self.untaken if what == "data")

    def _settle(self) -> None:
        """An empty message is taken when all before it is; so is a ping answered."""
        while (self.untaken and self.untaken[0] in (("data", 0),)) or (self.untaken and self.untaken[0][0] == "ping"):
            self._say(self.untaken.pop(0))

    def _say(self, note: tuple[str, int]) -> None:
        what, number = note
        if what == "ping":
            if self.is_ready:
                self.expected.append(self._pong(number))
            else:
                self.early.append(number)
        elif self.acks:
            self.expected.append({"command": "ack", "channel": "c", "bytes": number})

    @staticmethod
    def _pong(number: int) -> dict[str, Any]:
        return {"command": "pong", "channel": "c", "number": number}

    # The front end

    @precondition(lambda self: not self.over)
    @rule(size=st.integers(0, 3_000))
    def hear_data(self, size: int) -> None:
        self.channel.put(encode(b"c", b"d" * size))
        if self.input_over:
            self._refused()
            return
        if size or self._waiting:
            self.weight += size + MESSAGE_BYTES
        self.untaken.append(("data", size))
        self._settle()

    @precondition(lambda self: not self.over)
    @rule(seldom=SELDOM)
    def hear_done(self, seldom: int) -> None:
        if seldom:
            return
        self.channel.command(b"c", "done", control("done", channel="c"))
        if self.input_over:
            self._refused()
        else:
            assert self.payload.told[-1] == "done"
        self.input_over = True

    def _refused(self) -> None:
        (frame,) = self.frames[-1:]
        told = frame.message
        assert told["command"] == "close"
        assert told["problem"] == "protocol-error"
        self._end(told)

    @precondition(lambda self: not self.over)
    @rule()
    def hear_ping(self) -> None:
        self.pings += 1
        self.channel.command(b"c", "ping", control("ping", channel="c", number=self.pings))
        self.untaken.append(("ping", self.pings))
        self._settle()

    @precondition(lambda self: not self.over)
    @rule(sequence=st.integers(-10, 300_000) | st.none() | st.text(max_size=2) | st.booleans())
    def hear_pong(self, sequence: Any) -> None:
        before = self.wakes
        self.channel.command(b"c", "pong", control("pong", channel="c", sequence=sequence))
        moves = type(sequence) is int and self.acknowledged < sequence <= self.sent and self.flow
        if moves:
            self.acknowledged = sequence
        assert self.wakes - before == (1 if moves and self.wanted else 0)
        self.wanted = self.wanted and not moves

    @precondition(lambda self: not self.over)
    @rule()
    def hear_something_else(self) -> None:
        self.channel.command(b"c", "options", control("options", channel="c", x=1))
        assert self.payload.told[-1] == "options"

    @precondition(lambda self: not self.over)
    @rule(seldom=SELDOM)
    def hear_close(self, seldom: int) -> None:
        if seldom:
            return
        self.channel.command(b"c", "close", control("close", channel="c", problem="tired"))
        self.port.shut()
        self.channel.end()
        assert self.channel.problem == "tired"
        self.over = True
        self.untaken = []

    # At all times

    @invariant()
    def what_was_heard_is_what_is_due(self) -> None:
        if not hasattr(self, "frames"):
            return
        heard = [len(frame.payload) if frame.channel else frame.message for frame in self.frames]
        assert heard == self.expected
        assert self.payload.ended == int(self.over)

    @invariant()
    def the_front_end_is_read_while_little_waits(self) -> None:
        if hasattr(self, "frames"):
            blocked = bool(self.front._blockers)
            if self.over or self.weight <= QUEUE // 2:
                assert not blocked
            if not self.over and self.weight > QUEUE:
                assert blocked


Serving.TestCase.settings = examples(150, steps=40)
TestServing = Serving.TestCase
