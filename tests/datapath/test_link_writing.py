"""All that is put into a link comes out once, in order, whatever the pace of who reads (bridge/wire/link.py)."""

import os
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import spanbridge.wire.writer
from spanbridge.protocol.frames import Buffer
from spanbridge.wire.link import Link
from spanbridge.wire.pipe_budget import PipeBudget
from spanbridge.wire.source import Source
from spanbridge.wire.writer import Writer

from ..protocol.determined import examples
from .turns import Turns, give, pair, pipe, take, unread

STREAM = Random(7).randbytes(1 << 20)
MOST = 3_000  # bytes of one piece
# So small that a few puts reach what thousands would: more pieces than one write takes, pieces that are joined.
TIGHT: dict[str, Any] = {"_IOV_MAX": 8, "_JOIN_BELOW": 64}
JOINED = TIGHT["_IOV_MAX"] * TIGHT["_JOIN_BELOW"]

sizes = st.one_of(st.integers(1, 40), st.integers(1, 700), st.integers(1, MOST))


class Writing(RuleBasedStateMachine):
    """Beside the link stands the stream as it was put: what is queued, sent and received is told by counting."""

    @initialize(socket=st.booleans(), high_water=st.sampled_from([1, 700, 9_000, 20_000]), enlarge=st.booleans())
    def begin(self, socket: bool, high_water: int, enlarge: bool) -> None:
        self.patches = patch.multiple(spanbridge.wire.writer, **TIGHT)
        self.patches.start()
        self.turns = Turns()
        self.high_water = high_water
        self.put_bytes = 0
        self.received = 0
        self.flushed = True
        self.told: list[str] = []
        if socket:
            self.far, out_fd = pair()
        else:
            self.far, out_fd = pipe()
        self.in_fd, self.other = pipe()
        self.link = Link(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            PipeBudget(2 if enlarge else 0, 16_384),
            self.in_fd,
            out_fd,
            read_bytes=4_096,
            high_water=high_water,
            on_chunk=lambda chunk: None,
            on_end=lambda reason: None,
            on_broken=lambda reason: self.told.append("broken"),
        )
        self.link.writer.on_full = lambda: self.told.append("full")
        self.link.writer.on_room = lambda: self.told.append("room")
        self.link.writer.on_empty = lambda: self.told.append("empty")

    def next(self, size: int) -> bytes:
        piece = STREAM[self.put_bytes : self.put_bytes + size]
        self.put_bytes += len(piece)
        self.flushed = False
        return piece

    def view(self, size: int, around: int) -> memoryview:
        """A part of a chunk, as the splitter cuts it."""
        return memoryview(bytes(around) + self.next(size) + bytes(around))[around:-around]

    @rule(size=sizes, kind=st.sampled_from([bytes, bytearray]))
    def put(self, size: int, kind: type[bytes] | type[bytearray]) -> None:
        self.link.put(kind(self.next(size)))

    @rule(size=sizes, around=st.integers(1, MOST))
    def put_view(self, size: int, around: int) -> None:
        self.link.put(self.view(size, around))

    @rule(sizes=st.lists(sizes, min_size=2, max_size=12), gap=st.integers(0, 300))
    def put_parts_of_one_chunk(self, sizes: list[int], gap: int) -> None:
        parts = [self.next(size) for size in sizes]
        chunk = memoryview(b"".join(part + bytes(gap) for part in parts))
        at = 0
        for part in parts:
            self.link.put(chunk[at : at + len(part)])
            at += len(part) + gap

    @rule(sizes=st.lists(sizes, min_size=1, max_size=6), around=st.integers(1, 500))
    def put_pieces(self, sizes: list[int], around: int) -> None:
        pieces: list[Buffer] = []
        for index, size in enumerate(sizes):
            made: list[Buffer] = [self.view(size, around)] if index % 3 == 0 else [bytearray(self.next(size))]
            pieces += made
        self.link.put(pieces)

    @rule(count=st.integers(2, 40), size=st.integers(1, 30))
    def put_many(self, count: int, size: int) -> None:
        for _ in range(count):
            self.link.put(self.next(size))

    @rule(head=st.integers(0, 300), count=st.one_of(sizes, st.integers(5_000, 20_000)))
    def load(self, head: int, count: int) -> None:
        """A frame of which most lies in a pipe, unread."""
        begun = self.next(head)
        source, filler = pipe(65_536)
        os.write(filler, self.next(count))
        missing = unread(source)
        assert self.link.writer.load(begun, Source(source), missing) == 0
        assert unread(source) == 0
        os.close(source)
        os.close(filler)

    @rule()
    def idle(self) -> None:
        """Long enough for a pipe of our own to be given up."""
        self.turns.skip(1)
        self.flushed = True

    @rule()
    def flush(self) -> None:
        self.turns.flusher.flush()
        self.flushed = True

    @rule(count=st.integers(1, 3))
    def turn(self, count: int) -> None:
        self.turns.turn(count)
        self.flushed = True

    @rule(count=st.sampled_from([1, 7, 1_000, 4_096, 100_000]))
    def read(self, count: int) -> None:
        found = take(self.far, count)
        if found is not None:
            assert found == STREAM[self.received : self.received + len(found)]
            self.received += len(found)

    @rule()
    def read_all(self) -> None:
        """The end of every story: nothing is left anywhere."""
        while self.received < self.put_bytes:
            before = self.received
            self.turn(2)
            self.is_told_in_turn()
            self.read(1 << 20)
            assert self.received > before
        self.turn(2)
        assert self.link.queued == unread(self.far) == 0
        assert not self.link.full

    @invariant()
    def is_accounted_for(self) -> None:
        if hasattr(self, "link"):
            assert self.link.queued == self.put_bytes - self.received - unread(self.far)

    @invariant()
    def is_told_in_turn(self) -> None:
        if not hasattr(self, "link"):
            return
        told = [word for word in self.told if word != "empty"]
        assert all(one != other for one, other in pairwise(["room", *told]))
        assert set(told) <= {"full", "room"}
        assert self.link.full == (told[-1:] == ["full"])
        if self.flushed:
            assert self.link.full or self.link.queued <= self.high_water
            assert not self.link.full or self.link.queued > self.high_water // 2

    @invariant()
    def keeps_little_more_than_it_queues(self) -> None:
        if not hasattr(self, "link") or not self.flushed:
            return
        kept = {}
        for piece in self.link.writer._queue:
            whole = piece.obj if isinstance(piece, memoryview) else piece
            kept[id(whole)] = len(whole)  # type: ignore[arg-type]
        largest = max([JOINED, *kept.values()])
        assert sum(kept.values()) <= 2 * self.link.queued + largest

    def teardown(self) -> None:
        if not hasattr(self, "link"):
            return
        try:
            self.read_all()
            self.link.close()
            assert take(self.far, 1) == b""
        finally:
            self.link.close()
            for fd in (self.far, self.other):
                os.close(fd)
            self.turns.close()
            self.patches.stop()


def test_what_is_loaded_for_a_file_that_is_appended_to(tmp_path: Path) -> None:
    """The kernel moves nothing to there; and what somebody else has taken out of the pipe is made up."""
    turns, (source, filler) = Turns(), pipe(65_536)
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    writer = Writer(
        turns.loop, turns.poller, turns.flusher, PipeBudget(2, 1 << 20), fd, high_water=1, on_broken=lambda reason: None
    )
    os.write(filler, STREAM[:30_000])
    writer.put(b"first ")
    assert writer.load(b"head ", Source(source), 20_000) == 0
    writer.put(b" between ")
    turns.turn()
    assert writer.load(b"head ", Source(source), 12_000) == 2_000
    turns.turn()
    expected = b"first head " + STREAM[:20_000] + b" between head " + STREAM[20_000:30_000] + bytes(2_000)
    assert (tmp_path / "log").read_bytes() == expected
    assert writer.queued == 0
    writer.close()
    for each in (source, filler):
        os.close(each)
    turns.close()


class Breaking(RuleBasedStateMachine):
    """The far side goes away, or ours is closed, at any moment: said once, and then all is dropped."""

    @initialize(socket=st.booleans(), high_water=st.integers(1, 9_000))
    def begin(self, socket: bool, high_water: int) -> None:
        self.turns = Turns()
        self.told: list[str] = []
        self.far, self.out_fd = pair() if socket else pipe()
        in_fd, self.other = pipe()
        self.link = Link(
            self.turns.loop,
            self.turns.poller,
            self.turns.flusher,
            PipeBudget(2, 8_192),
            in_fd,
            self.out_fd,
            read_bytes=4_096,
            high_water=high_water,
            on_chunk=lambda chunk: None,
            on_end=lambda reason: None,
            on_broken=lambda reason: self.told.append("broken"),
        )
        self.link.writer.on_full = lambda: self.told.append("full")
        self.link.writer.on_room = lambda: self.told.append("room")
        self.put_after = False

    @property
    def gone(self) -> bool:
        return self.far < 0

    @rule(count=st.integers(1, 9), size=sizes)
    def put(self, count: int, size: int) -> None:
        for _ in range(count):
            self.link.put(bytes(size))
        self.put_after = self.gone

    @rule(count=st.integers(1, 9_000))
    def load(self, count: int) -> None:
        source, filler = pipe(65_536)
        os.write(filler, bytes(count))
        self.link.writer.load(b"head", Source(source), count)
        os.close(source)
        os.close(filler)
        self.put_after = self.gone

    @rule()
    def turn(self) -> None:
        self.turns.turn()

    @precondition(lambda self: not self.gone)
    @rule(count=st.sampled_from([1, 5_000]))
    def read(self, count: int) -> None:
        take(self.far, count)

    @precondition(lambda self: not self.gone)
    @rule()
    def go(self) -> None:
        os.close(self.far)
        self.far = -1

    @rule()
    def close_out(self) -> None:
        self.link.close_out()

    @invariant()
    def is_told_once(self) -> None:
        if hasattr(self, "link"):
            assert self.told.count("broken") <= 1
            if self.link.broken:
                assert self.link.queued == 0
            if self.link.out_fd < 0:
                assert self.link.broken

    def teardown(self) -> None:
        if not hasattr(self, "link"):
            return
        try:
            ours_open = self.link.out_fd >= 0
            self.turns.turn(3)
            if self.gone and self.put_after and ours_open:
                assert self.told.count("broken") == 1
            told = len(self.told)
            self.link.close()
            self.link.close()
            self.link.put(b"late")
            self.turns.turn(3)
            assert self.told[told:] == []
            assert give(self.other, b"x") == 0
        finally:
            self.link.close()
            for fd in (self.far, self.other):
                if fd >= 0:
                    os.close(fd)
            self.turns.close()


TestWriting = Writing.TestCase
TestWriting.settings = examples(40, steps=40)
TestBreaking = Breaking.TestCase
TestBreaking.settings = examples(40, steps=20)
