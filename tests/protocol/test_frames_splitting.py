"""Any split of any stream gives what the reference gives (docs/protocol.md, "Frames")."""

from itertools import cycle
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spanbridge.protocol.splitter
from spanbridge.protocol.frames import control_payload, encode, join, only_body, payloads
from spanbridge.protocol.splitter import CONTROL, UNROUTED, Splitter

from .account import Account, given_by, note, note_slowly, told_by, told_slowly
from .determined import examples
from .slow_splitter import SlowSplitter
from .streams import IDS, PLACES, broken_ends, change, chunked, chunks_of, filled, frame, routes, streams

# Small enough for short streams to reach what long ones would: views, the end of runs, a cache that overflows.
TIGHT = [
    {"_SMALL": spanbridge.protocol.splitter._SMALL},
    {"_SMALL": 6, "_RUN_SIZE": 12},
    {"_SMALL": 1, "_PROBE": 1, "_SIZES_KEPT": 1},
    {"_SMALL": 40, "_PROBE": 2, "_SIZES_KEPT": 2, "_RUN_SIZE": 9},
]


@examples(220)
@given(st.data(), streams, routes, st.sampled_from(TIGHT))
def test_any_split_gives_the_same(
    data: st.DataObject, stream: bytes, at_first: dict[bytes, str], constants: dict[str, Any]
) -> None:
    chunks = data.draw(chunks_of(stream))
    expected = told_slowly(SlowSplitter(dict(at_first)), stream)
    with patch.multiple(spanbridge.protocol.splitter, **constants):
        found = told_by(Splitter(dict(at_first)), chunks)
    assert found.entries == expected.entries
    assert found.error is expected.error is None


@examples(100)
@given(st.data(), streams, routes, broken_ends, st.binary(max_size=20))
def test_all_before_a_bad_frame_is_given_and_its_offset_told(
    data: st.DataObject, stream: bytes, at_first: dict[bytes, str], broken: bytes, rest: bytes
) -> None:
    chunks = data.draw(chunks_of(stream + broken + rest))
    expected = told_slowly(SlowSplitter(dict(at_first)), stream + broken + rest)
    found = told_by(Splitter(dict(at_first)), chunks)
    assert found.error == expected.error == len(stream)
    assert found.entries == expected.entries


@examples(150)
@given(st.data(), st.binary(max_size=40), routes)
def test_bytes_that_are_no_frames(data: st.DataObject, stream: bytes, at_first: dict[bytes, str]) -> None:
    chunks = data.draw(chunks_of(stream))
    expected = told_slowly(SlowSplitter(dict(at_first)), stream)
    found = told_by(Splitter(dict(at_first)), chunks)
    assert (found.entries, found.error) == (expected.entries, expected.error)


@examples(80)
@given(st.data(), streams, routes, st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(PLACES)), min_size=1))
def test_routes_that_change_between_chunks(
    data: st.DataObject, stream: bytes, at_first: dict[bytes, str], moves: list[tuple[bytes, str]]
) -> None:
    """A frame goes where its channel leads when its last byte comes."""
    fast, slow = Splitter(dict(at_first)), SlowSplitter(dict(at_first))
    found, expected = Account(), Account()
    for chunk, (ident, place) in zip(data.draw(chunks_of(stream)), cycle(moves), strict=False):
        for route, span in given_by(fast, chunk):
            note(found, fast, route, span)
        for given_frame in slow.feed(chunk):
            note_slowly(expected, slow, given_frame)
        assert fast.held == slow.held
        fast.routes[ident] = slow.routes[ident] = place
    assert found.entries == expected.entries


def test_every_split_in_two_and_in_three() -> None:
    stream = b"".join(
        [
            frame(b"a", b"one"),
            frame(b"a", b"two"),
            frame(b"b", b"six"),
            change(b"a", "south", 5),
            frame(b"a", b"\n\n\n"),
            frame(b"12", b"2\n"),
            frame(b"no", b"ne"),
            frame(b"a", b""),
        ]
    )
    at_first = {b"a": "north", b"b": "south", b"12": "north"}
    expected = told_slowly(SlowSplitter(dict(at_first)), stream)
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            found = told_by(Splitter(dict(at_first)), chunked(stream, [first, second]))
            assert found.entries == expected.entries, (first, second)


def test_a_channel_moves_between_two_frames_of_one_chunk() -> None:
    told = told_by(Splitter({b"a": "north"}), [frame(b"a", b"1") * 50 + change(b"a", "south") + frame(b"a", b"2") * 50])
    assert told.entries[0]["north"] == frame(b"a", b"1") * 50
    assert told.entries[1] == {"south": frame(b"a", b"2") * 50}


@pytest.mark.parametrize("size", [9_999_999, 10_000_000, 12_345_678])
def test_a_frame_larger_than_any_chunk(size: int) -> None:
    stream = frame(b"a", b"before") + frame(b"a", filled(b"3\na\n!", size - 2)) + frame(b"a", b"after")
    splitter = Splitter({b"a": "north"})
    spans: list[Any] = []
    for start in range(0, len(stream), 262_144):
        spans += [span for _, span in splitter.feed(stream[start : start + 262_144])]
    assert [isinstance(span, list) for span in spans] == [False, True, False]
    assert b"".join(map(join, spans)) == stream
    assert splitter.held == 0


def test_a_frame_that_trickles_in_is_not_held_in_tiny_pieces() -> None:
    splitter = Splitter({b"a": "north"})
    stream = frame(b"a", filled(b"\n", 30_000))
    spans: list[Any] = []
    for at in range(len(stream)):
        assert splitter.held == at
        spans += [span for _, span in splitter.feed(stream[at : at + 1])]
    assert b"".join(spans[0]) == stream
    assert len(spans[0]) <= 2


def test_a_chunk_that_is_one_frame_may_be_done_with_at_once() -> None:
    routes = {b"a": "north"}
    splitter = Splitter(routes, control_bytes=20)
    data, control, nobodys = frame(b"a", b"data"), frame(b"", b"control"), frame(b"b", b"data")
    for one in (data, control, nobodys):
        assert splitter.lone(one) is None  # its length has not been seen yet
        list(splitter.feed(one))
    begun = len(data + control + nobodys)
    assert splitter.lone(data) == "north"
    assert splitter.offset == begun
    assert splitter.lone(control) is CONTROL
    assert splitter.offset == begun + len(data)
    for other in (nobodys, data * 2, data[:-1], data + b"6", b"6", b"6\n", b"", b"\n", b"6\nwhat?!"):
        assert splitter.lone(other) is None
    list(splitter.feed(data[:3]))
    assert splitter.lone(data) is None
    assert list(splitter.feed(data[3:])) == [("north", data)]
    assert splitter.held == 0
    assert list(splitter.feed(nobodys)) == [(UNROUTED, b"b")]
    assert splitter.offset == begun + len(data + control + data)


def test_a_held_frame_goes_nowhere_if_its_channel_closes_meanwhile() -> None:
    splitter = Splitter({b"a": "north"})
    stream = frame(b"a", b"x" * 100)
    assert list(splitter.feed(stream[:50])) == []
    splitter.routes.clear()
    assert list(splitter.feed(stream[50:])) == [(UNROUTED, b"a")]
    assert splitter.offset == 0


@examples(60)
@given(st.data(), streams, broken_ends)
def test_offsets_past_ten_gibibytes(data: st.DataObject, stream: bytes, broken: bytes) -> None:
    far = 10 << 30
    chunks = data.draw(chunks_of(stream + broken))
    expected = told_slowly(SlowSplitter({b"a": "north"}), stream + broken)
    splitter = Splitter({b"a": "north"})
    splitter.seen = far
    found = told_by(splitter, chunks)
    assert found.error == far + len(stream)
    for entry, reference in zip(found.entries, expected.entries, strict=True):
        assert [offset - far for _, offset in entry.get("unrouted", [])] == [
            offset for _, offset in reference.get("unrouted", [])
        ]
        if "control" in reference:
            assert entry["control"] == (reference["control"][0], reference["control"][1] + far)


@examples(100)
@given(st.sampled_from(IDS), st.binary(max_size=100))
def test_encode_is_read_back(ident: bytes, payload: bytes) -> None:
    encoded = encode(ident, payload)
    assert encoded == encode(ident, memoryview(payload)) == frame(ident, payload)
    assert list(Splitter({ident: "north"}).feed(encoded)) == [("north", encoded)]
    assert list(payloads(encoded)) == list(payloads([encoded[:5], bytearray(encoded[5:])])) == [payload]


@examples(50)
@given(st.binary(max_size=100))
def test_the_payload_of_a_control_frame(payload: bytes) -> None:
    encoded = encode(b"", payload)
    assert list(Splitter[str]({}).feed(encoded)) == [(CONTROL, encoded)]
    assert control_payload(encoded) == payload


@examples(50)
@given(st.lists(st.tuples(st.sampled_from(IDS), st.binary(max_size=20)), max_size=20))
def test_the_payloads_of_a_span(frames: list[tuple[bytes, bytes]]) -> None:
    span = b"".join(frame(ident, payload) for ident, payload in frames)
    assert list(payloads(memoryview(span))) == [payload for _, payload in frames]
    assert only_body(span) == (frames[0][1] if len(frames) == 1 else None)
