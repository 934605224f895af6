"""A session beside a slow, obvious one: the same contents in the same order, per channel and direction.

Data of all sizes goes both ways in any pieces; channels are opened, closed from either side, killed, and opened again
with another helper between two frames; helpers come up, refuse, fall silent, break the protocol and exit; queues fill
and empty again.
"""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from spanbridge.helpers.helper import Helper
from spanbridge.manifests.model import Rule
from spanbridge.protocol import mixed
from spanbridge.wire.link import REST_BYTES

from ..protocol.determined import examples
from ..protocol.streams import FILLERS, filled
from .slow_forwarder import Due, SlowForwarder, SlowHelper, SlowRule
from .stage import FakeProcess, Stage, limits
from .turns import SMALLEST_PIPE
from .wire import Said, encode, encode_control

RULES = [
    SlowRule("one", payload="one"),
    SlowRule("two", payload="two"),
    SlowRule("picky", problem="not-today", payload="picky"),
    SlowRule("before-echo", payload="echo", way="long"),
    SlowRule("chain-1", payload="chain"),
    SlowRule("chain-2", payload="chain"),
]
IDS = ["a", "b", "7", "12", "abc"]

MISDEEDS = {
    "forges": encode("not-mine", b"x"),
    "forges a command": encode_control(command="open", channel="a", payload="one"),
    "babbles": b"hello\n",
}

idents = st.sampled_from(IDS)
payloads = st.sampled_from(["one", "one", "one", "two", "two", "echo", "picky", "chain"])
sizes = st.one_of(st.integers(0, 30), st.integers(0, 30), st.integers(0, 2_000), st.integers(0, 20_000))
counts = st.sampled_from([1, 1, 1, 2, 5, 20, 100])
spans = st.sampled_from([1, 5, 60, 1_000, 5_000, 100_000, 100_000, 100_000])
whichever = st.integers(0, 9)
fillers = st.sampled_from(FILLERS)


class Actor:
    """A helper as the test plays it: unless it is `eager`, it says nothing by itself."""

    def __init__(self, process: FakeProcess, due: Callable[[], Due], *, eager: bool) -> None:
        self.process = process
        self.channels: list[str] = []  # that it has open, those included that it has not answered the close of
        self.unanswered: list[str] = []
        self.greeted = False
        self._due = due
        process.on_heard = self.heard
        self.eager = eager
        if eager:
            self.greet()

    def heard(self, one: Said) -> None:
        self._due().heard(one)
        if one.command == "open":
            assert one.channel not in self.channels
            self.channels.append(one.channel)
            if self.eager:
                self.process.say(encode_control(command="ready", channel=one.channel))
        elif one.command == "close" and one.channel in self.channels:
            self.unanswered.append(one.channel)

    def greet(self, **members: Any) -> None:
        self.greeted = True
        self.process.say(encode_control(command="init", version=1, **members))

    def close(self, ident: str, **members: Any) -> None:
        self.channels.remove(ident)
        if ident in self.unanswered:
            self.unanswered.remove(ident)
        self.process.say(encode_control(command="close", channel=ident, **members))


def some_run(machine: "Forwarding") -> bool:
    return bool(machine.actors())


class Forwarding(RuleBasedStateMachine):
    @initialize(
        read_bytes=st.sampled_from([50, 50, 1_000, 10_000, 262_144]),
        queue_bytes=st.sampled_from([500, 20_000, 16 << 20]),
        large_pipes=st.integers(0, 2),
        eager=st.sampled_from([True, True, False]),
        rest_bytes=st.sampled_from([1, 1, 100, REST_BYTES]),
        pipe_bytes=st.sampled_from([SMALLEST_PIPE, 65_536, 65_536]),
    )
    def begin(
        self, read_bytes: int, queue_bytes: int, large_pipes: int, eager: bool, rest_bytes: int, pipe_bytes: int
    ) -> None:
        self.eager = eager
        self.reference = SlowForwarder(RULES)
        self.number = 0
        self.opened: set[str] = set()  # ids that the front end must close before it opens them
        self.all_actors: list[Actor] = []
        self.front_due = Due(self.reference.front_hears)
        self.dues: dict[Helper, tuple[SlowHelper, Due]] = {}
        self.stage = Stage(
            [Rule("test", at, "", {**rule.match}, (rule.name,), problem=rule.problem) for at, rule in enumerate(RULES)],
            limits=limits(
                read_bytes=read_bytes,
                helper_queue_bytes=queue_bytes,
                front_queue_bytes=queue_bytes,
                large_pipes=large_pipes,
                pipe_bytes=16_384,
            ),
            rest_bytes=rest_bytes,
            pipe_bytes=pipe_bytes,
            helper_pipe_bytes=pipe_bytes,
            on_start=self.started,
            on_front_chunk=self.reference.from_front,
            on_helper_chunk=lambda helper, chunk: self.reference.from_helper(self.slow(helper)[0], chunk),
            on_helper_end=lambda helper: self.reference.exited(self.slow(helper)[0]),
        )
        self.stage.front.on_heard = self.front_due.heard
        self.stage.begin()
        for ident, payload in (("a", "one"), ("b", "one"), ("7", "two"), ("12", "echo")):
            self.open(ident, payload, "g", True, "short")

    def started(self, process: FakeProcess) -> None:
        self.slow(process.helper)
        self.all_actors.append(Actor(process, lambda: self.slow(process.helper)[1], eager=self.eager))

    def slow(self, helper: Helper) -> tuple[SlowHelper, Due]:
        """The reference's helper, which is the one of its rule that was started as the same one, and what is due."""
        if helper not in self.dues:
            known = [slow for slow, _ in self.dues.values()]
            named = [slow for slow in self.reference.helpers if slow.rule.name == helper.launch.key[1].argv[0]]
            found = next(slow for slow in named if slow not in known)
            self.dues[helper] = found, Due(found.hears)
        return self.dues[helper]

    def actors(self) -> list[Actor]:
        return [actor for actor in self.all_actors if actor.process.running]

    def actor(self, which: int) -> Actor:
        running = self.actors()
        return running[which % len(running)]

    def payload(self, size: int, filler: bytes) -> bytes:
        """No two are alike."""
        self.number += 1
        return filled(b"%d:" % self.number + filler * (size // len(filler) + 1), max(size, 8))

    def next(self) -> int:
        self.number += 1
        return self.number

    # The front end

    @rule(
        ident=idents,
        payload=payloads,
        group=st.sampled_from(["g", "h", None]),
        raw=st.booleans(),
        way=st.sampled_from(["short", "long"]),
    )
    def open(self, ident: str, payload: str, group: str | None, raw: bool, way: str) -> None:
        if ident in self.opened:
            self.close_channel(ident)
        self.opened.add(ident)
        members: dict[str, Any] = {"payload": payload, "way": way, "number": self.next()}
        if group is not None:
            members["group"] = group
        if raw:
            members["binary"] = "raw"
        self.stage.front.say(encode_control(command="open", channel=ident, **members))

    @rule(ident=idents, size=sizes, count=counts, filler=fillers)
    def send(self, ident: str, size: int, count: int, filler: bytes) -> None:
        for _ in range(count if size < 3_000 else 1):
            self.stage.front.say(encode(ident, self.payload(size, filler)))

    @rule(chosen=st.lists(idents, min_size=2, max_size=40), size=st.integers(0, 40), filler=fillers)
    def send_by_turns(self, chosen: list[str], size: int, filler: bytes) -> None:
        """Frames of one length on several channels."""
        for ident in chosen:
            self.stage.front.say(encode(ident, self.payload(size + 12 - len(ident), filler)))

    @rule(ident=idents, command=st.sampled_from(["done", "ping", "options", "whatever"]))
    def tell(self, ident: str, command: str) -> None:
        self.stage.front.say(encode_control(command=command, channel=ident, number=self.next()))

    @rule(ident=idents)
    def close_channel(self, ident: str) -> None:
        self.opened.discard(ident)
        self.stage.front.say(encode_control(command="close", channel=ident, number=self.next()))

    @rule(ident=idents, payload=payloads, size=st.integers(0, 40), count=st.integers(1, 9), times=st.integers(1, 4))
    def move(self, ident: str, payload: str, size: int, count: int, times: int) -> None:
        """To another helper, between two frames."""
        for _ in range(times):
            self.open(ident, payload, None, True, "short")
            self.send(ident, size, count, b"move")
            payload = "two" if payload == "one" else "one"

    @rule(group=st.sampled_from(["g", "h", "h", "h", None]))
    def kill(self, group: str | None) -> None:
        self.stage.front.say(encode_control(command="kill", **({} if group is None else {"group": group})))

    @rule()
    def ping(self) -> None:
        self.stage.front.say(encode_control(command="ping", number=self.next()))

    # The helpers

    @precondition(some_run)
    @rule(which=whichever, how=st.sampled_from(["good"] * 6 + ["refuses", "odd"]))
    def greet(self, which: int, how: str) -> None:
        actor = self.actor(which)
        if how == "odd" and not actor.greeted:
            actor.process.say(encode_control(command="hello"))
        elif not actor.greeted:
            actor.greet(**({"problem": "no-thanks"} if how == "refuses" else {}))

    @precondition(some_run)
    @rule(which=whichever, at=whichever, size=sizes, count=counts, filler=fillers)
    def answer(self, which: int, at: int, size: int, count: int, filler: bytes) -> None:
        actor = self.actor(which)
        for index in range(count if size < 3_000 else 1):
            if actor.channels:
                ident = actor.channels[(at + index) % len(actor.channels)]
                actor.process.say(encode(ident, self.payload(size, filler)))

    @precondition(some_run)
    @rule(which=whichever, at=whichever, command=st.sampled_from(["ready", "done", "ack", "whatever"]))
    def tell_front(self, which: int, at: int, command: str) -> None:
        actor = self.actor(which)
        if actor.channels:
            ident = actor.channels[at % len(actor.channels)]
            actor.process.say(encode_control(command=command, channel=ident, number=self.next()))

    @precondition(some_run)
    @rule(which=whichever)
    def ping_bridge(self, which: int) -> None:
        if self.actor(which).greeted:
            self.actor(which).process.say(encode_control(command="ping", number=self.next()))

    @precondition(some_run)
    @rule(which=whichever, at=whichever)
    def close_from_helper(self, which: int, at: int) -> None:
        actor = self.actor(which)
        if actor.channels:
            actor.close(actor.channels[at % len(actor.channels)], problem="tired", number=self.next())

    @precondition(some_run)
    @rule(which=whichever)
    def answer_closes(self, which: int) -> None:
        actor = self.actor(which)
        for ident in list(actor.unanswered):
            actor.close(ident, number=self.next())

    @precondition(some_run)
    @rule(which=whichever, how=st.sampled_from(["well"] * 8 + ["exits"] * 2 + list(MISDEEDS)))
    def behave(self, which: int, how: str) -> None:
        """Mostly well."""
        process = self.actor(which).process
        if how == "exits":
            process.exit()
            if which % 2 and self.actors():  # and another in the same turn
                self.actor(which).process.exit()
        elif how != "well":
            process.say(MISDEEDS[how])

    # The bytes

    @rule(count=spans)
    def front_writes(self, count: int) -> None:
        self.stage.front.write(count)

    @rule(count=spans)
    def front_reads(self, count: int) -> None:
        self.stage.front.read(count)

    @precondition(some_run)
    @rule(which=whichever, count=spans)
    def helper_writes(self, which: int, count: int) -> None:
        self.actor(which).process.write(count)

    @precondition(some_run)
    @rule(which=whichever, count=spans)
    def helper_reads(self, which: int, count: int) -> None:
        self.actor(which).process.read(count)

    @rule(count=spans)
    def flow_to_helpers(self, count: int) -> None:
        self.stage.front.write(count)
        self.stage.turn(2)
        for actor in self.actors():
            actor.process.read(count)

    @rule(count=spans)
    def flow_to_front(self, count: int) -> None:
        for actor in self.actors():
            actor.process.write(count)
        self.stage.turn(2)
        self.stage.front.read(count)

    @rule(count=st.integers(1, 3))
    def turn(self, count: int) -> None:
        self.stage.turn(count)

    @rule()
    def settle(self) -> None:
        """Once everybody has read and written all there is, all has arrived, and nothing is stuck.

        Nobody owes an `init` then; nor an answer to a close, where the front end has to wait for one.
        """
        self.stage.settle()
        while any(map(self.owes, self.actors())):
            for actor in filter(self.owes, self.actors()):
                if not actor.greeted:
                    actor.greet()
                for ident in list(actor.unanswered):
                    actor.close(ident, number=self.next())
            self.stage.settle()
        assert self.stage.front.idle
        assert self.front_due.left == {}
        for actor in self.actors():
            assert actor.process.idle
            assert self.slow(actor.process.helper)[1].left == {}
            assert self.slow(actor.process.helper)[0].state == "ready"
        self.opened = set(self.reference.table)

    def owes(self, actor: Actor) -> bool:
        return not actor.greeted or (bool(actor.unanswered) and not self.stage.front.idle)

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            if self.stage.failure is None:
                self.check_end()
        finally:
            self.stage.close()

    def check_end(self) -> None:
        """Helpers hear that their channels are over, and go."""
        self.settle()
        self.stage.front.on_heard = lambda one: None
        closed: dict[str, list[str]] = {}
        for actor in self.actors():
            heard = closed[actor.process.name] = []
            actor.process.on_heard = lambda one, heard=heard: heard.append(one.channel)  # type: ignore[misc]
        expected: dict[str, list[str]] = {name: [] for name in closed}
        for ident, life in self.reference.table.items():
            if life.helper is not None:
                expected[life.helper.rule.name].append(ident)
        self.stage.end()
        assert {name: sorted(heard) for name, heard in closed.items()} == {
            name: sorted(idents) for name, idents in expected.items()
        }


@pytest.fixture(autouse=True)
def runs_of_any_sizes() -> Iterator[None]:
    """Recognised from the first frame on."""
    with patch.multiple(mixed, _WORTH=-1, _WORTH_SEVERAL=-1, _PATIENCE=1, _GAIN=1):
        yield


TestForwarding = Forwarding.TestCase
TestForwarding.settings = examples(100, steps=50)
