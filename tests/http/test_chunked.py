"""Bodies in chunks: payloads/http/chunked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.http.chunked import LINE_BYTES, TRAILER_BYTES, Chunked
from spanbridge.protocol.problems import Problem


def read(*pieces: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what came after it, and whether it is whole."""
    chunked, body, after = Chunked("server"), b"", b""
    for piece in pieces:
        parts, rest = chunked.feed(piece)
        body += b"".join(parts)
        after += rest
    return body, after, chunked.over


@pytest.mark.parametrize(
    ("data", "body", "after", "over"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"", True),
        (b"5\r\nhello\r\n0\r\n\r\nHTTP", b"hello", b"HTTP", True),
        (b"1\r\na\r\n0A\r\n0123456789\r\n000\r\n\r\n", b"a0123456789", b"", True),
        (b'5;a=b;c="d"\r\nhello\r\n0;x\r\nTrailer: x\r\nOther: y\r\n\r\n', b"hello", b"", True),
        (b"5 \t\r\nhello\r\n0\r\n\r\n", b"hello", b"", True),
        (b"5\r\nhel", b"hel", b"", False),
        (b"5\r\nhello\r\n0\r\n", b"hello", b"", False),
        (b"0\r\n\r\n", b"", b"", True),
        (b"7fffffffffffffff\r\nx", b"x", b"", False),
    ],
)
def test_bodies(data: bytes, body: bytes, after: bytes, over: bool) -> None:
    assert read(data) == (body, after, over)
    assert read(*(data[at : at + 1] for at in range(len(data)))) == (body, after, over)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"x\r\n", "protocol-error"),
        (b"\r\n", "protocol-error"),
        (b"-1\r\n", "protocol-error"),
        (b"+1\r\n", "protocol-error"),
        (b"0x1\r\n", "protocol-error"),
        (b"1_0\r\n", "protocol-error"),
        (b" 1\r\n", "protocol-error"),
        (b"1\n", "protocol-error"),
        (b"1;a\0\r\n", "protocol-error"),
        (b"1\r\r\n", "protocol-error"),
        (b"8000000000000000\r\n", "protocol-error"),
        (b"10000000000000000\r\n", "protocol-error"),
        (b"5\r\nhelloX", "protocol-error"),
        (b"5\r\nhello\n", "protocol-error"),
        (b"5\r\nhello\rX", "protocol-error"),
        (b"1;" + b"a" * LINE_BYTES, "protocol-error"),
        (b"0\r\n" + b"A: a\r\n" * TRAILER_BYTES, "too-large"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    for pieces in (
        [data],
        [data[at : at + 1] for at in range(min(len(data), LINE_BYTES + 99))] + [data[LINE_BYTES + 99 :]],
    ):
        with pytest.raises(Problem) as caught:
            read(*pieces)
        assert caught.value.code == code
        assert caught.value.message.startswith("server: ")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.binary(max_size=9), st.lists(st.integers(1, 30)))
def test_any_split_gives_the_same(chunks: list[bytes], after: bytes, steps: list[int]) -> None:
    data = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + after
    pieces = []
    for step in steps:
        pieces.append(data[:step])
        data = data[step:]
    assert read(*pieces, data) == (b"".join(chunks), after, True)


def test_bytes_that_come_another_way() -> None:
    chunked = Chunked("server")
    chunked.feed(b"5\r\nhe")
    assert chunked.left == 3
    chunked.moved(3)
    assert chunked.left == 0
    assert chunked.feed(b"\r\n0\r\n\r\n") == ([], b"")
    assert chunked.over
