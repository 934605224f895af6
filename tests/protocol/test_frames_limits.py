"""The limits of frames, control messages and channel ids, however the bytes come in."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.protocol.splitter import FrameError, Splitter

from .account import Account, told_by, told_slowly
from .determined import examples
from .slow_splitter import SlowSplitter
from .streams import chunked, chunks_of, frame

FRAME, CONTROL, IDENT = 40, 12, 5
OPEN = {b"a": "north", b"12": "south", b"abcde": "north"}


def limited() -> Splitter[str]:
    return Splitter(dict(OPEN), frame_bytes=FRAME, control_bytes=CONTROL, id_bytes=IDENT)


def limited_slowly() -> SlowSplitter:
    return SlowSplitter(dict(OPEN), frame_bytes=FRAME, control_bytes=CONTROL, id_bytes=IDENT)


def both(stream: bytes, cuts: Sequence[int]) -> tuple[Account, Account]:
    return told_by(limited(), chunked(stream, list(cuts))), told_slowly(limited_slowly(), stream)


def feed(splitter: Splitter[str], chunks: list[bytes]) -> None:
    for chunk in chunks:
        for _ in splitter.feed(chunk):
            pass


def sized(ident: bytes, length: int) -> bytes:
    """A frame of that length, which counts all after its first line."""
    return frame(ident, b"x" * (length - len(ident) - 1))


BEFORE = frame(b"a", b"before")
REFUSED = {
    "frame": sized(b"a", FRAME + 1),
    "control": sized(b"", CONTROL + 1),
    "id": frame(b"abcdef", b"x"),
    "id of a closed channel": frame(b"uvwxyz", b"x"),
    "id without an end": b"9\nabcdefghi",
    "8 digits": b"10000000\na\n",
}
TAKEN = {
    "frame": sized(b"a", FRAME),
    "control": sized(b"", CONTROL),
    "id": sized(b"abcde", FRAME),
    "id of a closed channel": frame(b"uvwxy", b"x"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_limit_ends_the_stream_at_the_frame_wherever_it_is_cut(name: str) -> None:
    stream = BEFORE + REFUSED[name] + frame(b"a", b"after") * 3
    for cuts in ([], range(1, len(stream)), *([at] for at in range(len(stream)))):
        found, expected = both(stream, cuts)
        assert expected.error == len(BEFORE)
        assert found.error == len(BEFORE), cuts
        assert found.entries == expected.entries == [{"north": BEFORE}]


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_just_within_a_limit_is_taken(name: str) -> None:
    stream = BEFORE + TAKEN[name] + BEFORE
    for cuts in ([], range(1, len(stream)), *([at] for at in range(len(stream)))):
        found, expected = both(stream, cuts)
        assert found.error is expected.error is None, cuts
        assert found.entries == expected.entries


def test_a_chunk_that_is_one_frame_is_held_to_the_same_limit_of_an_id() -> None:
    """Though its channel has a route, and frames of that length have come before."""
    splitter = Splitter({b"abcdef": "north", b"a": "north"}, id_bytes=IDENT)
    feed(splitter, [frame(b"a", b"x" * 5)])
    assert splitter.lone(frame(b"abcdef", b"")) is None
    with pytest.raises(FrameError, match=f"channel id longer than the limit of {IDENT} bytes"):
        feed(splitter, [frame(b"abcdef", b"")])


@examples(80)
@given(st.data(), st.lists(st.tuples(st.sampled_from([b"a", b"12", b"abcde", b"", b"zz"]), st.integers(1, FRAME + 1))))
def test_limits_in_any_stream(data: st.DataObject, frames: list[tuple[bytes, int]]) -> None:
    stream = b"".join(sized(ident, max(length, len(ident) + 1)) for ident, length in frames)
    found = told_by(limited(), data.draw(chunks_of(stream)))
    expected = told_slowly(limited_slowly(), stream)
    assert (found.entries, found.error) == (expected.entries, expected.error)


def test_eight_digits_are_taken_and_nine_are_not() -> None:
    splitter = Splitter({b"a": "north"})
    assert list(splitter.feed(b"99999999\na\n")) == []
    assert splitter.held == len(b"99999999\na\n")
    with pytest.raises(FrameError, match="at most 8 digits") as caught:
        list(Splitter({b"a": "north"}).feed(b"100000000\na\n"))
    assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"x\na\n", "a decimal number, found 'x'"),
        (b"\n", "found an empty line"),
        (b"05\na\nabc", "a decimal number, found '05'"),
        (sized(b"a", FRAME + 1), f"frame of {FRAME + 1} bytes, above the limit of {FRAME} bytes"),
        (sized(b"", CONTROL + 1), f"control message of {CONTROL + 1} bytes, above the limit of {CONTROL} bytes"),
        (b"2\nab", "no line feed ends the channel id within 2 bytes"),
        (frame(b"abcdef", b""), f"channel id longer than the limit of {IDENT} bytes"),
    ],
)
def test_the_error_says_what_and_where(stream: bytes, words: str) -> None:
    for chunks in ([BEFORE + stream], [BEFORE, *(stream[at : at + 1] for at in range(len(stream)))]):
        with pytest.raises(FrameError) as caught:
            feed(limited(), chunks)
        if len(chunks) == 1 or "decimal" not in words:
            assert words in str(caught.value)
        assert str(caught.value).endswith(f"(frame at byte {len(BEFORE)} of the stream)")
