"""Runs of frames of any sizes, which a regular expression recognises: no byte goes elsewhere than one by one."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.protocol import mixed
from spanbridge.protocol.splitter import Splitter

from .account import told_by, told_slowly
from .determined import examples
from .slow_splitter import SlowSplitter
from .streams import FILLERS, broken_ends, change, chunked, filled, frame

LONGEST_KNOWN = b"k" * mixed.LONGEST_ID
LONGER = LONGEST_KNOWN + b"k"
ROUTES = {b"a": "north", b"b": "north", b"1": "north", b"12": "south", LONGEST_KNOWN: "north", LONGER: "south"}
PIECES: dict[str, Any] = {
    "_WORTH": -1,
    "_WORTH_SEVERAL": -1,
    "_PATIENCE": 1,
    "_GAIN": 1,
    "_FEW_BYTES": 64,
    "_SAME_BYTES": 300,
}


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Tried for every frame, in small pieces."""
    with patch.multiple(mixed, **PIECES):
        yield


idents = st.sampled_from([*ROUTES, b"a", b"a", b"a", b"b", b"1", b"a9", b"none", LONGER + b"k"])
sizes = st.one_of(st.integers(0, 40), st.integers(85, 115), st.integers(mixed.LONGEST - 40, mixed.LONGEST + 10))
data_frames = st.builds(
    lambda ident, filler, size: frame(ident, filled(filler, size)), idents, st.sampled_from(FILLERS), sizes
)
control_frames = st.builds(change, st.sampled_from([*ROUTES]), st.sampled_from([None, "north", "south"]))
runs = st.lists(st.one_of(data_frames, data_frames, data_frames, control_frames), min_size=1, max_size=12)
# Ids that go on past their frame, in such a way that what follows looks like frames.
torn = st.sampled_from([b"1\na\n", b"2\nab\n", b"2\na12\na\n", b"1\n12\n12\n", b"3\n" + LONGER + b"\n"])
streams = st.lists(runs, min_size=1, max_size=6).map(lambda lists: b"".join(piece for run in lists for piece in run))


@examples(70)
@given(streams, st.one_of(st.just(b""), torn, broken_ends), streams, st.lists(st.integers(0, 6_000), max_size=3))
def test_the_same_as_one_by_one(before: bytes, broken: bytes, after: bytes, cuts: list[int]) -> None:
    stream = before + broken + after
    expected = told_slowly(SlowSplitter(dict(ROUTES)), stream)
    found = told_by(Splitter(dict(ROUTES)), chunked(stream, [cut for cut in cuts if cut < len(stream)]))
    assert found.entries == expected.entries
    assert found.error == expected.error


@pytest.mark.parametrize("ident", [b"a", b"12", LONGEST_KNOWN])
def test_every_length_is_known_and_none_is_taken_for_another(ident: bytes) -> None:
    with patch.multiple(mixed, _SAME_BYTES=1 << 20, _FEW_BYTES=1 << 20):
        for step in (1, -1):
            frames = [frame(ident, b"\n" * size) for size in range(mixed.LONGEST - len(ident))][::step]
            run = b"".join(frames)
            other = frame(b"b" if ident != b"b" else b"a", b"")
            for rest in (b"", frame(ident, b"x" * mixed.LONGEST), frames[0][:-1], frame(b"", b"{}")):
                end = mixed.Mixed().run(run + rest, 0, len(frames[0]), {ident: "north"}.get, "north")
                assert end == len(run)
            places = {ident: "north", b"b": "north"}
            for rest in (frames[0][:-1], frame(b"", b"{}" * 50), frame(ident, b"x" * mixed.LONGEST)):
                end = mixed.Mixed().run(other + run + rest, 0, len(other), places.get, "north")
                assert end == len(other + run)


def test_a_long_id_is_not_taken_for_its_beginning() -> None:
    known = frame(LONGEST_KNOWN, b"data") + frame(LONGEST_KNOWN, b"")
    for other in (frame(LONGER, b"data"), frame(LONGER + b"k", b"data")):
        stream = frame(b"a", b"x") + known + other + known + other * 3 + known
        expected = told_slowly(SlowSplitter(dict(ROUTES)), stream)
        with patch.object(mixed, "_FEW_BYTES", 1 << 20):
            assert told_by(Splitter(dict(ROUTES)), [stream]).entries == expected.entries


@pytest.mark.parametrize("ident", [b"1", b"12", b"1234", b"1" * mixed.LONGEST_ID, LONGEST_KNOWN])
@pytest.mark.parametrize("beside", [b"", frame(b"a", b"x")])
def test_an_id_that_goes_on_past_its_frame(ident: bytes, beside: bytes) -> None:
    """The rest of the id may look like a length line."""
    routes = {ident: "north", b"a": "north"}
    good = frame(ident, b"") + beside + frame(ident, b"x") + beside + frame(ident, b"xyz")
    for length in range(1, len(ident) + 1):
        stream = good + b"%d\n%b\n" % (length, ident) + good * 2
        expected = told_slowly(SlowSplitter(dict(routes)), stream)
        with patch.object(mixed, "_FEW_BYTES", 1 << 20):
            found = told_by(Splitter(dict(routes)), [stream])
        assert (found.error, found.entries) == (expected.error, expected.entries)


@pytest.mark.parametrize("other", [b"b", b"12", b"aa", b"none", LONGER])
def test_a_run_ends_where_another_channel_begins(other: bytes) -> None:
    two = frame(b"a", b"x") + frame(b"a", b"")
    stream = (two + frame(other, b"xy")) * 2 + two
    expected = told_slowly(SlowSplitter(dict(ROUTES)), stream)
    with patch.object(mixed, "_FEW_BYTES", 1 << 20):
        assert told_by(Splitter(dict(ROUTES)), [stream]).entries == expected.entries


def test_low_limits_hold() -> None:
    stream = b"".join(frame(b"a" * 8, b"x" * size) for size in range(60))
    for limits in ({"frame_bytes": 50}, {"id_bytes": 7}):
        expected = told_slowly(SlowSplitter({b"a" * 8: "north"}, **limits), stream)
        found = told_by(Splitter({b"a" * 8: "north"}, **limits), [stream])
        assert (found.error, found.entries) == (expected.error, expected.entries)
        assert found.error is not None


def test_nothing_is_compiled_for_a_few_frames() -> None:
    def never() -> None:
        raise AssertionError("asked for")

    with patch.multiple(mixed, _WORTH=16_384, _PATIENCE=16, _of_one=never, _of_several=never):
        splitter = Splitter({b"a": "north"})
        stream = b"".join(frame(b"a", b"x" * (index % 90)) for index in range(1_000))
        assert len(list(splitter.feed(stream))) == 1


def test_what_is_looked_at_in_vain_is_bounded_by_what_was_not() -> None:
    """Ids that are listed and not used: a run is looked at further ahead only after all of it could be used."""
    count = 0
    real = mixed._listed

    def counted(data: bytes, pos: int, end: int) -> list[tuple[bytes, bytes]]:
        nonlocal count
        found = real(data, pos, end)
        count += len(found)
        return found

    varied = [frame(b"ab"[index % 2 : index % 2 + 1], b"x" * (index * 7 % 23)) for index in range(4_000)]
    for every in (2, 3, 5, 17, 100, 1_000):
        stray = [one if index % every else frame(b"none", b"x") for index, one in enumerate(varied)]
        count = 0
        with patch.object(mixed, "_listed", counted):
            list(Splitter(dict(ROUTES)).feed(b"".join(stray)))
        assert count <= 4 * len(stray), every
