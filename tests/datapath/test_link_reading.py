"""All that is written to a link is read once, in order, when it may be; its end is told once (bridge/wire/link.py)."""

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spanbridge.wire.link import Link
from spanbridge.wire.pipe_budget import PipeBudget

from ..protocol.determined import examples
from .turns import Turns, give, is_open, pair, pipe, unread

STREAM = Random(8).randbytes(1 << 20)


class Reading(RuleBasedStateMachine):
    """`may` is what the link is to do, as it was told last; `when` what its reader does at the next chunk."""

    @initialize(socket=st.booleans(), read_bytes=st.sampled_from([1, 100, 4_096, 70_000, 300_000]))
    def begin(self, socket: bool, read_bytes: int) -> None:
        self.turns = Turns()
        self.near, self.far = pair() if socket else pipe(65_536)
        self.other, out_fd = pipe()
        self.read_bytes = read_bytes
        self.written = 0
        self.received = 0
        self.largest = 0
        self.ends: list[str | None] = []
        self.reading = False
        self.allowed = True
        self.when = ""
        self.link = Link(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            PipeBudget(1, 131_072),
            self.near,
            out_fd,
            read_bytes=read_bytes,
            high_water=1_000,
            on_chunk=self.chunk,
            on_end=self.end,
            on_broken=lambda reason: None,
        )
        self.link.reader.may_read = lambda: self.allowed

    def chunk(self, chunk: bytes) -> None:
        assert self.reading
        assert self.allowed
        assert not self.ends
        assert 0 < len(chunk) <= self.read_bytes
        assert chunk == STREAM[self.received : self.received + len(chunk)]
        self.received += len(chunk)
        if self.when == "pause":
            self.pause()
        elif self.when == "deny":
            self.deny()
        elif self.when == "close":
            self.close_in()
        elif self.when == "resume":
            self.resume()
        self.when = ""

    def end(self, reason: str | None) -> None:
        assert self.reading
        assert self.allowed
        assert self.received == self.written
        self.ends.append(reason)

    @property
    def closed(self) -> bool:
        return self.link.in_fd < 0

    @precondition(lambda self: self.far >= 0)
    @rule(size=st.sampled_from([1, 50, 5_000, 65_536, 200_000]))
    def write(self, size: int) -> None:
        self.written += give(self.far, STREAM[self.written : self.written + size])

    @precondition(lambda self: self.far >= 0)
    @rule()
    def hang_up(self) -> None:
        os.close(self.far)
        self.far = -1

    @rule()
    def pause(self) -> None:
        self.link.pause()
        self.reading = False

    @rule()
    def resume(self) -> None:
        self.reading = True
        self.link.resume()

    @rule()
    def deny(self) -> None:
        """As somebody does whose queue is full; he resumes the link when it is not any more."""
        self.allowed = False

    @rule()
    def allow(self) -> None:
        self.allowed = True
        self.resume()

    @rule(what=st.sampled_from(["pause", "deny", "resume", "resume", "close"]))
    def at_the_next_chunk(self, what: str) -> None:
        self.when = what

    @rule(count=st.integers(1, 3))
    def turn(self, count: int) -> None:
        self.turns.turn(count)

    def close_in(self) -> None:
        self.link.close_in()
        self.reading = False

    @invariant()
    def is_accounted_for(self) -> None:
        if hasattr(self, "link"):
            assert len(self.ends) <= 1
            if not self.closed:
                assert self.received + unread(self.near) == self.written

    def teardown(self) -> None:
        if not hasattr(self, "link"):
            return
        try:
            self.when = ""
            if not self.closed:
                self.allow()
                rounds = unread(self.near) // min(self.read_bytes, 65_536) + 3
                self.turns.turn(min(rounds, 400))
                if rounds <= 400:
                    assert self.received == self.written
                    assert self.ends == ([None] if self.far < 0 else [])
            self.close_in()
            told = self.received, list(self.ends)
            self.link.resume()
            self.turns.turn(2)
            assert (self.received, self.ends) == told
        finally:
            self.link.close()
            for fd in (self.far, self.other):
                if fd >= 0:
                    os.close(fd)
            self.turns.close()


TestReading = Reading.TestCase
TestReading.settings = examples(40, steps=30)


class Reader:
    """A link on any descriptor, and what came of it."""

    def __init__(self, fd: int, *, read_bytes: int = 4_096, budget: PipeBudget | None = None) -> None:
        self.turns = Turns()
        self.far, out_fd = pipe()
        self.chunks: list[bytes] = []
        self.ends: list[str | None] = []
        self.link = Link(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            budget or PipeBudget(0, 0),
            fd,
            out_fd,
            read_bytes=read_bytes,
            high_water=1_000,
            on_chunk=self.chunks.append,
            on_end=self.ends.append,
            on_broken=lambda reason: None,
        )

    def close(self) -> None:
        self.link.close()
        os.close(self.far)
        self.turns.close()


@pytest.mark.parametrize("size", [0, 1, 4_096, 10_000])
def test_a_plain_file_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    (tmp_path / "input").write_bytes(STREAM[:size])
    reader = Reader(os.open(tmp_path / "input", os.O_RDONLY))
    reader.link.resume()
    reader.turns.turn(6)
    assert b"".join(reader.chunks) == STREAM[:size]
    assert reader.ends == [None]
    reader.close()


def test_a_plain_file_is_read_on_after_a_pause(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(STREAM[:20_000])
    reader = Reader(os.open(tmp_path / "input", os.O_RDONLY))
    for _ in range(3):  # in one turn, and with one to spare between them
        reader.link.resume()
        reader.link.resume()
        reader.turns.turn()
        reader.link.pause()
        reader.link.resume()
        reader.link.pause()
        reader.turns.turn(3)
    assert len(reader.chunks) == 3
    reader.link.resume()
    reader.turns.turn(8)
    assert b"".join(reader.chunks) == STREAM[:20_000]
    assert reader.ends == [None]
    reader.close()


def test_a_plain_file_that_is_closed_is_read_no_more(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(STREAM[:20_000])
    reader = Reader(os.open(tmp_path / "input", os.O_RDONLY))
    reader.link.resume()
    reader.turns.turn()
    reader.link.close_in()
    reader.turns.turn(3)
    assert (len(reader.chunks), reader.ends) == (1, [])
    reader.close()


def test_what_epoll_refuses_is_read_all_the_same() -> None:
    reader = Reader(os.open(os.devnull, os.O_RDONLY))
    reader.link.resume()
    reader.turns.turn(3)
    assert (reader.chunks, reader.ends) == ([], [None])
    reader.close()


def test_an_error_is_an_end_with_a_reason(tmp_path: Path) -> None:
    reader = Reader(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    reader.link.resume()
    reader.turns.turn(3)
    assert (reader.chunks, reader.ends) == ([], ["Is a directory"])
    reader.close()


def test_drain_reads_whatever_the_pauses() -> None:
    near, far = pipe()
    reader = Reader(near)
    reader.link.pause()
    assert not reader.link.drain()
    give(far, b"one")
    assert reader.link.drain()
    give(far, b"two")
    os.close(far)
    assert reader.link.drain()
    assert not reader.link.drain()
    assert reader.chunks == [b"one", b"two"]
    reader.link.close_in()
    assert not reader.link.drain()
    reader.close()


def test_both_descriptors_are_closed_once() -> None:
    near, far = pipe()
    reader = Reader(near)
    out_fd = reader.link.out_fd
    reader.link.resume()
    reader.turns.turn()
    reader.link.close()
    assert not is_open(near)
    assert not is_open(out_fd)
    reused = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
    assert sorted(reused) == sorted([near, out_fd])
    reader.link.close()
    reader.turns.turn(2)
    assert all(map(is_open, reused))
    for fd in (*reused, far):
        os.close(fd)
    reader.close()


def test_an_error_in_a_reader_stays_in_its_turn() -> None:
    """It is told to the event loop, and what the reader had put before it still goes out."""
    near, far = pipe()
    reader = Reader(near)

    def fail(chunk: bytes) -> None:
        reader.link.put(b"answer")
        raise RuntimeError("no")

    reader.link.reader._on_chunk = fail
    reader.link.resume()
    give(far, b"x")
    with pytest.raises(AssertionError, match="callback"):
        reader.turns.turn()
    assert os.read(reader.far, 100) == b"answer"
    reader.turns.errors.clear()
    os.close(far)
    reader.close()
