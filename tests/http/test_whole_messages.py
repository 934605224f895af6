"""Messages of a server that do not go through the protocol: what is given out is what the protocol alone would have."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.http.whole_messages import WholeMessages
from spanbridge.protocol.flow import is_utf8
from spanbridge.stand_ins import import_websockets

from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

import_websockets()

from websockets.frames import Frame  # noqa: E402
from websockets.protocol import CLIENT, Event, Protocol  # noqa: E402

MOST = 70_000

SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, MOST])


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Frames of all kinds, good ones for the most part, cut anywhere."""
    sent = b""
    for _ in range(draw(st.integers(1, 30))):
        opcode = draw(st.sampled_from([TEXT, BINARY, BINARY, CONT, PING, PONG, CLOSE]))
        size = draw(SIZES) if opcode <= BINARY else draw(st.integers(0, 125)) if opcode != CLOSE else 0
        wrong = draw(st.integers(0, 30)) == 0
        sent += frame(opcode, b"x" * size, fin=opcode > BINARY or draw(st.booleans()), reserved=4 if wrong else 0)
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    return [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


@given(streams())
def test_together_they_say_what_the_protocol_alone_says(chunks: list[bytes]) -> None:
    alone = Protocol(CLIENT, max_size=MOST)
    for chunk in chunks:
        alone.receive_data(chunk)
    beside, whole, told = Protocol(CLIENT, max_size=MOST), WholeMessages(MOST), []
    for is_text, piece in (piece for chunk in chunks for piece in whole.feed(chunk)):
        if is_text is None:
            beside.receive_data(piece)
            told += list(_frames(beside.events_received()))
        elif beside.parser_exc is None and beside.close_rcvd is None:
            told.append((TEXT if is_text else BINARY, bytes(piece), True))
    assert told == list(_frames(alone.events_received()))
    assert repr(beside.parser_exc) == repr(alone.parser_exc)
    assert _heads(beside) == _heads(alone)


def _frames(events: list[Event]) -> Iterator[tuple[int, bytes, bool]]:
    return ((int(each.opcode), bytes(each.data), each.fin) for each in events if isinstance(each, Frame))


def _heads(protocol: Protocol) -> list[tuple[bytes, int]]:
    """What it says, but for its masks."""
    return [(each[:2], len(each)) for each in protocol.data_to_send()]


@pytest.mark.parametrize(
    ("data", "valid"), [(b"", True), (b"a", True), ("é".encode(), True), (b"a\xff", False), (b"\xed\xa0\x80", False)]
)
def test_text(data: bytes, valid: bool) -> None:
    assert {is_utf8(data), is_utf8(bytearray(data)), is_utf8(memoryview(data))} == {valid}
