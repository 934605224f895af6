"""The window, the ledger and the text of a channel (protocol/flow.py), each against something obvious."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.protocol.flow import BLOCK_BYTES, Ledger, Text, Window

SIZE = 2 << 20


@given(st.lists(st.integers(1, 3 * BLOCK_BYTES), max_size=50))
def test_a_ping_is_due_whenever_a_block_is_passed(sizes: list[int]) -> None:
    window, sent = Window(SIZE), 0
    for size in sizes:
        due = window.sent(size)
        passed = (sent + size) // BLOCK_BYTES > sent // BLOCK_BYTES
        sent += size
        assert due == (sent if passed else None)


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5 * BLOCK_BYTES)), max_size=50))
def test_only_pongs_of_what_was_sent_open_it(steps: list[tuple[bool, int]]) -> None:
    window, sent, acknowledged = Window(SIZE), 0, 0
    for is_pong, number in steps:
        if is_pong:
            moved = acknowledged < number <= sent
            assert window.pong(number) == moved
            acknowledged = number if moved else acknowledged
        else:
            window.sent(abs(number))
            sent += abs(number)
        assert window.room == SIZE + acknowledged - sent
        assert window.takes(1) == (sent - acknowledged < SIZE)
        assert window.takes(6) == (sent - acknowledged <= SIZE - 6)


@given(st.integers(1, 3 * BLOCK_BYTES), st.lists(st.integers(1, 2 * BLOCK_BYTES), min_size=1, max_size=50))
def test_a_window_of_any_size_opens_again(size: int, messages: list[int]) -> None:
    """Whenever a message has to wait, a ping is under way whose pong moves the window."""
    window, pinged = Window(size), list[int]()
    for message in messages:
        while not window.takes(message):
            assert window.pong(pinged.pop())
        if (sequence := window.sent(message)) is not None:
            pinged.append(sequence)


def test_what_is_no_integer_is_no_sequence() -> None:
    window = Window(SIZE)
    window.sent(100)
    assert not any(window.pong(sequence) for sequence in (None, "50", 50.0, True, [50]))
    assert window.pong(100)


@given(st.lists(st.integers(-1, 4), max_size=60))
def test_what_is_to_be_said_is_said_once_all_before_it_is_taken(steps: list[int]) -> None:
    """Above 0: so many bytes come. 0: something is to be said. -1: a byte is taken."""
    ledger, said, expected = Ledger(), list[int](), list[tuple[int, int]]()
    came = taken = 0
    for number, step in enumerate(steps):
        if step > 0:
            ledger.came(step)
            came += step
        elif step == 0:
            expected.append((came, number))
            ledger.then(partial(said.append, number))
        elif taken < came:
            taken += 1
            ledger.taken(1)
        assert said == [number for at, number in expected if at <= taken]
        assert ledger.waiting == came - taken
    ledger.take_all()
    assert said == [number for _, number in expected]


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), st.lists(st.integers(1, 7), min_size=1))
def test_text_in_pieces_is_what_it_would_be_in_one(data: bytes, sizes: list[int]) -> None:
    text, told, at, turn = Text(), list[bytes](), 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        told.append(text.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    told.append(text.end())
    assert b"".join(told).decode() == data.decode("utf-8", "replace")
    assert all(isinstance(piece.decode(), str) for piece in told)
    if data == data.decode("utf-8", "replace").encode():
        assert all(len(piece) <= max(sizes) + 3 for piece in told)
