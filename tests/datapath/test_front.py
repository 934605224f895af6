"""Who may use the front end's link, and when (bridge/wire/front.py): nobody is forgotten, nobody is called twice."""

import asyncio
import os
from contextlib import suppress
from functools import partial
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from spanbridge.wire.children import Children
from spanbridge.wire.context import Context
from spanbridge.wire.front import Front
from spanbridge.wire.pipe_budget import PipeBudget
from spanbridge.wire.watchdog import Watchdog

from ..protocol.determined import examples
from .stage import Told, limits
from .turns import Turns, give, pipe, take, unread

STREAM = Random(9).randbytes(1 << 20)
QUEUE = 10_000


class Stand:
    """A front end's link between two pipes."""

    def __init__(self) -> None:
        self.turns = Turns()
        in_fd, self.to_bridge = pipe()
        self.from_bridge, out_fd = pipe()
        self.received = 0
        log = Told()
        context = Context(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            PipeBudget(0, 0),
            limits(read_bytes=1_000, front_queue_bytes=QUEUE),
            log,
            Watchdog(print),
            Children(self.turns.loop),
        )
        self.front = Front(
            context, in_fd, out_fd, on_chunk=self.chunk, on_end=lambda reason: None, on_broken=lambda reason: None
        )
        self.front.link.resume()

    def chunk(self, chunk: bytes) -> None:
        self.received += len(chunk)

    def close(self) -> None:
        self.front.link.close()
        for fd in (self.to_bridge, self.from_bridge):
            os.close(fd)
        self.turns.close()


class Sharing(RuleBasedStateMachine):
    """Some write to the front end, some wait until it has taken all, some keep it from being read."""

    @initialize()
    def begin(self) -> None:
        self.stand = Stand()
        self.front = self.stand.front
        self.put_bytes = self.heard = 0
        self.waiting: set[int] = set()
        self.asked = 0
        self.blockers: set[str] = set()
        self.written = 0
        self.turned = True

    @rule(size=st.sampled_from([1, 100, 5_000, 30_000]))
    def put(self, size: int) -> None:
        self.front.put(STREAM[self.put_bytes : self.put_bytes + size])
        self.put_bytes += len(STREAM[self.put_bytes : self.put_bytes + size])
        self.turned = False

    @rule()
    def ask(self) -> None:
        number = self.asked = self.asked + 1

        def go_on() -> None:
            assert number in self.waiting  # it is called once
            self.waiting.remove(number)

        self.waiting.add(number)
        if self.front.ready(go_on):
            self.waiting.remove(number)

    @rule(again=st.integers(1, 3))
    def ask_again_and_again(self, again: int) -> None:
        """As a helper does, which puts something each time that it may."""
        number = self.asked = self.asked + 1
        left = again

        def go_on() -> None:
            nonlocal left
            assert number in self.waiting
            self.waiting.remove(number)
            left -= 1
            if left:
                self.put(5_000)
                self.waiting.add(number)
                if self.front.ready(go_on):
                    go_on()

        self.waiting.add(number)
        if self.front.ready(go_on):
            self.waiting.discard(number)

    @rule(who=st.sampled_from("xyz"))
    def block(self, who: str) -> None:
        self.front.block(who)
        self.blockers.add(who)

    @rule(who=st.sampled_from("xyz"))
    def unblock(self, who: str) -> None:
        self.front.unblock(who)
        self.blockers.discard(who)

    @rule(size=st.sampled_from([1, 500, 4_000]))
    def write(self, size: int) -> None:
        self.written += give(self.stand.to_bridge, bytes(size))

    @rule(size=st.sampled_from([1, 4_096, 50_000]))
    def read(self, size: int) -> None:
        found = take(self.stand.from_bridge, size) or b""
        assert found == STREAM[self.heard : self.heard + len(found)]
        self.heard += len(found)

    @rule(count=st.integers(1, 3))
    def turn(self, count: int) -> None:
        before = self.stand.received
        self.stand.turns.turn(count)
        self.turned = True
        if self.blockers:
            assert self.stand.received == before
        if self.front.link.queued == 0:
            assert not self.waiting

    @invariant()
    def is_read_when_it_may_be(self) -> None:
        if hasattr(self, "stand") and self.turned and self.front.link.queued > QUEUE:
            assert self.front.link.full

    def teardown(self) -> None:
        if not hasattr(self, "stand"):
            return
        try:
            for who in list(self.blockers):
                self.unblock(who)
            while self.heard < self.put_bytes:
                before = self.heard
                self.turn(2)
                self.read(1 << 20)
                assert self.heard > before
            self.turn(10)
            assert not self.waiting
            assert self.stand.received == self.written
            assert unread(self.stand.to_bridge) == 0
        finally:
            self.stand.close()


TestSharing = Sharing.TestCase
TestSharing.settings = examples(40, steps=30)


def test_what_was_put_in_this_turn_and_goes_out_at_its_end_keeps_nobody_waiting() -> None:
    """Nothing tells of its end: the descriptor is not waited for."""
    stand = Stand()
    called: list[str] = []
    stand.front.put(b"little")
    waits = not stand.front.ready(lambda: called.append("go on"))
    stand.turns.turn(3)
    assert stand.front.link.queued == 0
    assert called == (["go on"] if waits else [])
    stand.close()


def test_one_that_raises_something_keeps_nobody_else_waiting() -> None:
    """The error is told to the event loop."""
    stand = Stand()
    called: list[int] = []
    stand.front.put(bytes(30_000))
    stand.turns.turn(2)

    def broken() -> None:
        raise ValueError("broken")

    for number in range(3):
        assert not stand.front.ready(broken)
        assert not stand.front.ready(partial(called.append, number))
    for _ in range(20):
        take(stand.from_bridge, 4_096)
        with suppress(AssertionError):  # that something has escaped from a callback
            stand.turns.turn()
    assert called == [0, 1, 2]
    assert [str(details["exception"]) for details in stand.turns.errors] == ["broken"] * 3
    stand.turns.errors.clear()
    stand.close()


def test_who_sends_much_between_two_waits_is_kept_to_one_piece() -> None:
    """Even one that never does anything else: an internal channel with all its data at hand."""
    stand = Stand()
    most = 0
    piece = bytes(2_000)

    async def send() -> None:
        nonlocal most
        for _ in range(100):
            stand.front.put(piece)
            most = max(most, stand.front.link.queued)
            await stand.front.drained()

    task = stand.turns.start(send())
    heard = 0
    for _ in range(2_000):
        stand.turns.turn()
        heard += len(take(stand.from_bridge, 4_096) or b"")
        if task.done() and heard == 100 * len(piece):
            break
    assert heard == 100 * len(piece)
    assert most <= 2 * len(piece)
    stand.close()


def test_a_wait_for_the_front_end_can_be_given_up() -> None:
    stand = Stand()

    async def send() -> None:
        stand.front.put(bytes(30_000))
        await asyncio.sleep(0)
        await stand.front.drained()

    task = stand.turns.start(send())
    stand.turns.turn(4)
    assert not task.done()
    task.cancel()
    stand.turns.turn(2)
    assert task.cancelled()
    while take(stand.from_bridge, 4_096):
        stand.turns.turn()
    assert stand.front.link.queued == 0
    stand.close()
