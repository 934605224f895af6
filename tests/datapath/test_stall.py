"""A helper that begins a frame and falls silent is not waited for without end (bridge/wire/stall.py)."""

from collections.abc import Iterator

import pytest

from spanbridge.manifests.model import Rule
from spanbridge.protocol.splitter import Splitter
from spanbridge.wire.stall import Stall

from .stage import FakeProcess, Stage, limits
from .turns import Turns, take
from .wire import Ear, encode, encode_control

RULES = [Rule("test", 0, "", {"payload": "one"}, ("one",))]
SECONDS = 30.0


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(
        RULES, limits=limits(stall_seconds=SECONDS, large_pipes=0), pipe_bytes=65_536, helper_pipe_bytes=65_536
    )
    made.begin()
    made.front.say(encode_control(command="open", channel="a", payload="one"))
    made.settle()
    made.processes[0].say(encode_control(command="init", version=1))
    made.settle()
    yield made
    made.close()


def say(stage: Stage, data: bytes) -> FakeProcess:
    process = stage.processes[0]
    process.say(data)
    process.write()
    stage.turn(3)
    return process


def closes(stage: Stage) -> list[str]:
    ear, told = Ear(), []
    while data := take(stage.front.from_bridge, 1 << 20):
        told += [one.told for one in ear.hear(data)]
    return [one["problem"] for one in told if isinstance(one, dict) and one["command"] == "close"]


@pytest.mark.parametrize(
    "begun", [b"99999999\na\nx", b"9", b"99999999\n", b"99999999\na", encode("a", b"whole") + b"20\na\nx"]
)
def test_it_is_ended(stage: Stage, begun: bytes) -> None:
    process = say(stage, begun)
    stage.turns.skip(SECONDS - 1)
    assert process.running
    stage.turns.skip(2)
    stage.turn(10)
    assert not stage.processes[0].running
    assert closes(stage) == ["timeout"]
    assert ("limit", "stall_seconds") in [(event, fields.get("name")) for event, fields in stage.log.lines]


def test_one_that_goes_on_however_slowly(stage: Stage) -> None:
    process = say(stage, b"20\na\n")
    for _ in range(18):
        stage.turns.skip(SECONDS - 1)
        say(stage, b"x")
    assert process.running
    assert closes(stage) == []


def test_one_that_has_nothing_to_say(stage: Stage) -> None:
    """Between two frames there is no hurry."""
    process = say(stage, b"8\na\nfirst")
    say(stage, b"!")
    stage.turns.skip(SECONDS - 1)
    stage.turns.skip(10 * SECONDS)
    assert process.running
    assert closes(stage) == []


def test_one_that_is_not_read_meanwhile(stage: Stage) -> None:
    """The front end does not read: that the rest does not come is not the helper's fault."""
    process = stage.processes[0]
    process.say(b"".join(encode("a", b"x" * 20_000) for _ in range(30)))
    for _ in range(20):
        process.write()
        stage.turn()
    assert process.unsaid
    for _ in range(5):
        stage.turns.skip(SECONDS - 1)
    assert process.running
    stage.settle()
    assert not process.unsaid


def test_one_that_is_read_again_at_the_very_end() -> None:
    """The front end takes something just as time is over: what the helper had to say was not looked at yet."""
    turns, stalls = Turns(), [0]
    splitter = Splitter[bytes]({b"a": b"a"}, frame_bytes=100, control_bytes=100, id_bytes=100)
    read_since: list[float | None] = [None]

    def stalled() -> None:
        stalls[0] += 1

    stall = Stall(turns.loop, splitter, SECONDS, read_since=lambda: read_since[0], on_stall=stalled)
    assert list(splitter.feed(b"20\na\nx")) == []
    stall.watch()
    turns.skip(SECONDS - 1)
    read_since[0] = turns.loop.time()
    turns.skip(2)
    assert stalls == [0]
    turns.skip(SECONDS - 4)
    assert stalls == [0]
    turns.skip(3)
    assert stalls == [1]
    turns.close()
