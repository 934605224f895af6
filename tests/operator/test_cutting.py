"""What `spanbridge open` makes of stdin."""

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.operator.talking.cutting import Cutter


def cut(cutter: Cutter, stream: bytes, size: int) -> list[bytes]:
    pieces = [cutter.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    return [payload for piece in (*pieces, cutter.end()) for payload in piece]


@given(st.binary(max_size=200), st.integers(1, 20))
def test_bytes_go_out_as_they_were_read(stream: bytes, size: int) -> None:
    payloads = cut(Cutter(by_line=False, line_end=b"", text=False), stream, size)
    assert payloads == [stream[at : at + size] for at in range(0, len(stream), size)]


@given(st.text(max_size=100), st.integers(1, 20))
def test_no_character_is_split(text: str, size: int) -> None:
    payloads = cut(Cutter(by_line=False, line_end=b"", text=True), text.encode(), size)
    assert "".join(payload.decode() for payload in payloads) == text
    assert all(payloads)


@given(st.binary(max_size=200), st.integers(1, 20))
def test_what_is_no_text_is_not_held_back_for_good(stream: bytes, size: int) -> None:
    cutter = Cutter(by_line=False, line_end=b"", text=True)
    sent = b""
    for at in range(0, len(stream), size):
        sent += b"".join(cutter.feed(stream[at : at + size]))
        assert at + size - len(sent) <= size + 3
    assert sent + b"".join(cutter.end()) == stream


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))), st.integers(1, 20))
def test_a_payload_for_each_line(lines: list[bytes], size: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    assert cut(Cutter(by_line=True, line_end=b"", text=True), stream, size) == lines
    assert cut(Cutter(by_line=True, line_end=b"\n", text=True), stream, size) == [line + b"\n" for line in lines]
