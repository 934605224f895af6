"""The end of a large frame goes from pipe to pipe without being read, and nothing but whole frames is passed on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.limits import Limits
from spanbridge.manifests.model import Rule
from spanbridge.wire.link import Link
from spanbridge.wire.pipe_budget import PipeBudget

from .stage import End, FakeProcess, Stage, limits
from .turns import Turns, pipe
from .wire import Said, encode, encode_control

RULES = [Rule("test", at, "", {"payload": name}, (name,)) for at, name in enumerate(("one", "two"))]
PIPE = 1 << 20


class Sides:
    """A session with a channel `a` of one helper and `b` of another, and what each end has heard of data."""

    def __init__(self, chosen: Limits) -> None:
        self.chunks: list[int] = []
        self.stage = Stage(
            RULES,
            limits=chosen,
            pipe_bytes=PIPE,
            helper_pipe_bytes=PIPE,
            on_front_chunk=lambda chunk: self.chunks.append(len(chunk)),
            on_helper_chunk=lambda helper, chunk: self.chunks.append(len(chunk)),
        )
        self.stage.begin()
        self.heard: dict[str, list[tuple[str, bytes]]] = {}
        self._listen("front", self.stage.front)
        for ident, payload in (("a", "one"), ("b", "two")):
            self.stage.front.say(encode_control(command="open", channel=ident, payload=payload))
            self.stage.settle()
        for name, process in zip(("one", "two"), self.stage.processes, strict=True):
            process.say(encode_control(command="init", version=1))
            self._listen(name, process)
        self.stage.settle()

    def _listen(self, name: str, end: End) -> None:
        heard = self.heard[name] = []

        def hear(said: Said) -> None:
            if said.command == "data":
                heard.append((said.channel, said.told))

        end.on_heard = hear

    @property
    def helper(self) -> FakeProcess:
        return self.stage.processes[0]


@pytest.fixture
def sides() -> Iterator[Sides]:
    made = Sides(limits())
    yield made
    made.stage.close()


def frames(count: int, size: int = 100_000) -> list[bytes]:
    return [bytes([number % 251]) * size for number in range(count)]


@pytest.mark.parametrize("way", ["front", "helper"])
def test_most_of_a_large_frame_is_never_read(sides: Sides, way: str) -> None:
    sent = frames(40)
    end, heard = (sides.stage.front, sides.heard["one"]) if way == "front" else (sides.helper, sides.heard["front"])
    end.say(b"".join(encode("a", payload) for payload in sent))
    end.write(500_000)
    sides.chunks.clear()
    sides.stage.settle()
    assert heard == [("a", payload) for payload in sent]
    assert sides.stage.moves > 20


def test_frames_of_two_channels_stay_in_order(sides: Sides) -> None:
    sent = [("ab"[number % 3 % 2], payload) for number, payload in enumerate(frames(30, 70_000))]
    sides.stage.front.say(b"".join(encode(ident, payload) for ident, payload in sent))
    sides.stage.settle()
    assert sides.heard["one"] == [each for each in sent if each[0] == "a"]
    assert sides.heard["two"] == [each for each in sent if each[0] == "b"]
    assert sides.stage.moves


def test_half_a_frame_is_held_back_when_its_sender_ends(sides: Sides) -> None:
    frame = encode("a", b"x" * 200_000)
    sides.helper.say(frame[:150_000])
    sides.helper.write()
    sides.stage.turn(3)
    sides.helper.exit()
    sides.stage.turn(5)
    sides.stage.front.read()
    assert sides.heard["front"] == []
    assert not sides.stage.moves


def test_a_full_pipe_is_no_reason_to_wait(sides: Sides) -> None:
    """What the helper's pipe has no room for is read all the same: the other helper's frames lie behind it."""
    sent = frames(40)
    sides.stage.front.say(b"".join(encode("a", payload) for payload in sent) + encode("b", b"me too"))
    for _ in range(50):
        sides.stage.front.write()
        sides.stage.turn()
        sides.stage.processes[1].read()
    assert sides.heard["two"] == [("b", b"me too")]
    assert sides.heard["one"] == []
    sides.stage.settle()
    assert sides.heard["one"] == [("a", payload) for payload in sent]


def test_a_reader_that_goes_away_within_a_frame(sides: Sides) -> None:
    """The rest of the frame is thrown away, and what follows it is understood."""
    sides.stage.front.say(b"".join(encode("a", payload) for payload in frames(4)))
    sides.stage.front.write()
    sides.helper.stop_reading()
    sides.stage.turn(3)
    sides.stage.front.say(encode("b", b"and on"))
    sides.stage.settle()
    assert sides.heard["two"] == [("b", b"and on")]


class Alone:
    """A link that reads a pipe, and one that writes to `out_fd`."""

    def __init__(self, out_fd: int) -> None:
        self.turns = Turns()
        self.broken: list[str] = []
        self._in_fd, self.to_link = pipe(PIPE)
        unused, self._unread = pipe()
        self.source = self._link(self._in_fd, self._unread)
        self.target = self._link(unused, out_fd)

    def _link(self, in_fd: int, out_fd: int) -> Link:
        return Link(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            PipeBudget(0, 0),
            in_fd,
            out_fd,
            read_bytes=1 << 18,
            high_water=1 << 24,
            on_chunk=lambda chunk: None,
            on_end=lambda reason: None,
            on_broken=self.broken.append,
        )

    def move(self, held: bytes, rest: bytes) -> None:
        os.write(self.to_link, rest)
        assert self.source.holds(len(rest))
        assert not self.source.holds(len(rest) + 1)
        self.target.move(held, self.source, len(rest))

    def hang_up(self) -> None:
        if self.to_link >= 0:
            os.close(self.to_link)
            self.to_link = -1

    def close(self) -> None:
        self.source.close()
        self.target.close()
        self.hang_up()
        self.turns.close()


def test_where_the_kernel_will_not_move_it_is_read(tmp_path: Path) -> None:
    """splice(2) refuses files in append mode."""
    path = tmp_path / "out"
    alone = Alone(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    for _ in range(2):
        alone.move(b"head", b"x" * 100_000)
        alone.target.flush()
    alone.close()
    assert path.read_bytes() == 2 * (b"head" + b"x" * 100_000)
    assert alone.broken == []


def test_nobody_reads() -> None:
    out, out_fd = pipe()
    alone = Alone(out_fd)
    os.close(out)
    alone.move(b"", b"x" * 50_000)
    assert alone.broken == ["Broken pipe"]
    assert not alone.source.holds(1)
    alone.close()


def test_offsets_in_errors_count_what_was_moved(sides: Sides) -> None:
    before = len(sides.stage.front.said)
    good = b"".join(encode("a", payload) for payload in frames(5))
    sides.stage.front.say(good + b"nonsense\n")
    sides.stage.front.write()
    sides.stage.turns.turn(5)
    assert sides.stage.moves
    failure = sides.stage.failure
    assert failure is not None
    assert f"frame at byte {before + len(good)} of" in str(failure["message"])


@pytest.mark.parametrize("gone", [1, 60_000, 100_000])
@pytest.mark.parametrize("ended", [False, True])
def test_bytes_that_somebody_has_taken_back_are_made_up(gone: int, ended: bool) -> None:
    """A writer can open its own pipe for reading. What was begun is ended as a frame, and nobody waits for the rest."""
    out, out_fd = pipe(PIPE)
    alone = Alone(out_fd)
    os.write(alone.to_link, b"x" * 100_000)
    assert alone.source.holds(100_000)
    os.read(alone.source.in_fd, gone)
    if ended:
        alone.hang_up()
    assert alone.target.move(b"head", alone.source, 100_000) == gone
    alone.target.flush()
    assert os.read(out, PIPE) == b"head" + b"x" * (100_000 - gone) + bytes(gone)
    alone.close()
    os.close(out)
