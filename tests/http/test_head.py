"""Heads of answers: payloads/http/head."""

import time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.http.head import FIELDS, HEAD_BYTES, Head, HeadReader, request_head
from spanbridge.payloads.http.headers import passed_on
from spanbridge.protocol.problems import Problem


def read(data: bytes, *, upgrades: bool = False) -> Head:
    """The head in `data`, all of which it is."""
    found = HeadReader("server", upgrades=upgrades).feed(data)
    assert found is not None
    head, rest = found
    assert rest == b""
    return head


def test_a_head() -> None:
    head = read(b"HTTP/1.1 200 All right\r\nContent-Type: text/plain\r\nX-Empty:\r\nx-tab: \ta\tb \r\n\r\n")
    assert (head.status, head.reason, head.keeps, head.chunked, head.length) == (200, "All right", True, False, None)
    assert head.headers == [(b"Content-Type", b"text/plain"), (b"X-Empty", b""), (b"x-tab", b"a\tb")]


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, "OK"),
        (b"HTTP/1.0 200 OK", 200, "OK"),
        (b"HTTP/1.1 200 ", 200, ""),
        (b"HTTP/1.1 200", 200, ""),
        (b"HTTP/1.1 999 x", 999, "x"),
        (b"HTTP/1.1 200 \xc5\xbc", 200, "\N{LATIN SMALL LETTER Z WITH DOT ABOVE}"),
        (b"HTTP/1.1 200 \xff", 200, "\N{LATIN SMALL LETTER Y WITH DIAERESIS}"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: str) -> None:
    for end in (b"\r\n", b"\n"):
        head = read(line + end + end)
        assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.10 200 OK\r\n\r\n",
        b"HTTP/1 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: a\rB: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: a\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : space\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n A: indented\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA\xff: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + 5000 * b"9" + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_heads_that_are_refused(head: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read(head)
    assert caught.value.code == "protocol-error"
    assert caught.value.message.startswith("server: ")


@pytest.mark.parametrize("begin", [b"\0", b"S", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/2", b"\r\n", b"HTTP/1.1 2000\r\nA: b"])
def test_what_is_no_head_is_refused_before_it_ends(begin: bytes) -> None:
    """Who speaks something else may wait for us, as we would for the rest."""
    reader = HeadReader("server")
    assert reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nH") is None
    with pytest.raises(Problem):
        HeadReader("server").feed(begin)
    with pytest.raises(Problem):
        reader.feed(begin[1:] if begin[:1] == b"H" else begin)


def test_a_head_that_is_too_large() -> None:
    reader = HeadReader("server")
    assert reader.feed(b"HTTP/1.1 200 OK\r\nA: ") is None
    with pytest.raises(Problem) as caught:
        reader.feed(b"a" * HEAD_BYTES)
    assert caught.value.code == "too-large"
    with pytest.raises(Problem) as caught:
        read(b"HTTP/1.1 200 OK\r\nA: %b\r\n\r\n" % (b"a" * HEAD_BYTES))
    assert caught.value.code == "too-large"


def test_the_largest_head() -> None:
    begin, end = b"HTTP/1.1 200 OK\r\nA: ", b"\r\n\r\n"
    value = b"a" * (HEAD_BYTES - len(begin) - len(end))
    assert read(begin + value + end).headers == [(b"A", value)]


def test_headers_that_are_too_many() -> None:
    fields = b"".join(b"A%d: a\r\n" % number for number in range(FIELDS))
    assert len(read(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n").headers) == FIELDS
    with pytest.raises(Problem) as caught:
        read(b"HTTP/1.1 200 OK\r\n" + fields + b"A: a\r\n\r\n")
    assert caught.value.code == "too-large"


def test_interim_answers_are_swallowed() -> None:
    reader = HeadReader("server")
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    found = reader.feed(interim + b"HTTP/1.1 204 No Content\r\nA: a\r\n\r\nrest")
    assert found is not None
    assert (found[0].status, found[0].headers, found[1]) == (204, [(b"A", b"a")], b"rest")


def test_a_change_of_protocol_that_was_asked_for() -> None:
    assert read(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", upgrades=True).status == 101


def test_a_value_that_goes_on_in_the_next_line() -> None:
    head = read(b"HTTP/1.1 200 OK\r\nA: one\r\n  two\r\n\tthree\r\nB: b\r\n\r\n")
    assert head.headers == [(b"A", b"one two three"), (b"B", b"b")]


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        (b"one\r\n ", b"one"),
        (b"one\r\n \r\n\t", b"one"),
        (b"\r\n one", b"one"),
        (b"\r\n ", b""),
        (b"one \t\r\n \r\n two", b"one  two"),
        (b"one\n two", b"one two"),
    ],
)
def test_no_end_of_a_line_is_left_in_a_value(value: bytes, read_as: bytes) -> None:
    assert read(b"HTTP/1.1 200 OK\r\nA: " + value + b"\r\n\r\n").headers == [(b"A", read_as)]


def test_much_white_space_in_a_value_of_several_lines_takes_no_time() -> None:
    begun = time.process_time()
    value = b"two" + b" " * 40_000 + b"three"
    assert read(b"HTTP/1.1 200 OK\r\nA: one\r\n " + value + b"\r\n\r\n").values(b"a") == [b"one " + value]
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        (b"", True),
        (b"Connection: keep-alive\r\n", True),
        (b"Connection: close\r\n", False),
        (b"CONNECTION: foo, Close\r\n", False),
    ],
)
def test_connections_that_are_kept(fields: bytes, keeps: bool) -> None:
    assert read(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n").keeps is keeps
    assert not read(b"HTTP/1.0 200 OK\r\n" + fields + b"\r\n").keeps


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"5\r\nContent-Length: 5", 5),
        (b"5, 5", 5),
        (b"05", 5),
        (5000 * b"0" + b"5", 5),
        (b"9223372036854775807", 2**63 - 1),
    ],
)
def test_lengths(value: bytes, length: int) -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\n").length == length


def test_any_split_gives_the_same() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nA: a\r\n\r\n"
    whole = read(data)
    for step in range(1, len(data)):
        reader = HeadReader("server")
        found = None
        for begin in range(0, len(data), step):
            assert found is None
            found = reader.feed(data[begin : begin + step])
        assert found == (whole, b"")


_lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 204",
        b"HTTP/1.1 304 Not Modified",
        b"A: a",
        b"A:a",
        b"Content-Length: 5",
        b"Content-Length: 6",
        b"Content-Length: 5, 5",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"Connection: close",
        b"X-\xc3: a",
        b"X:  \xc3 \t",
        b" folded",
        b"no colon",
    ]
) | st.binary(max_size=12)


@given(st.lists(_lines, min_size=1, max_size=6))
def test_what_is_read_is_what_h11_reads(lines: list[bytes]) -> None:
    """h11 lets more pass; what we let pass, it understands in the same way."""
    data = b"\r\n".join([*lines, b"", b""])
    try:
        found = HeadReader("server").feed(data)
    except Problem:
        return
    if found is None:
        return
    head, rest = found
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.receive_data(data[: len(data) - len(rest)])
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == head.status
    theirs = dict(event.headers)
    assert theirs.get(b"transfer-encoding") == (b"chunked" if head.chunked else None)
    length = theirs.get(b"content-length")
    assert head.length == (None if length is None else int(length))
    # h11 leaves the white space before a line that goes on, which is a part of what becomes one space (RFC 9112, 5.2).
    ours, told = (
        [
            (name.lower(), b" ".join(value.lower().split()))
            for name, value in fields
            if name.lower() != b"content-length"
        ]
        for fields in (head.headers, event.headers)
    )
    assert ours == told


def test_a_request() -> None:
    head = request_head("GET", "/a?b", [("Host", "h"), ("X", "\N{LATIN SMALL LETTER Z WITH DOT ABOVE}")], [("Y", "")])
    assert head == "GET /a?b HTTP/1.1\r\nHost: h\r\nX: \N{LATIN SMALL LETTER Z WITH DOT ABOVE}\r\nY: \r\n\r\n".encode()


def test_what_is_passed_on() -> None:
    raw = [
        (b"Content-type", b"text/plain"),
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"SET-COOKIE", b"c=3"),
        (b"Connection", b"close"),
        (b"keep-alive", b"x"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Trailer", b"x"),
        (b"upgrade", b"x"),
        (b"Content-Length", b"5"),
        (b"Range", b"x"),
        (b"Content-Encoding", b"gzip"),
        (b"X-Utf8", b"\xc5\xbc"),
        (b"X-Latin1", b"\xfc"),
    ]
    text = {
        "Content-type": "text/plain",
        "Set-Cookie": "a=1, b=2, c=3",
        "Content-Encoding": "gzip",
        "X-Utf8": "\N{LATIN SMALL LETTER Z WITH DOT ABOVE}",
        "X-Latin1": "\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    }
    assert passed_on(raw, text=True) == text
    assert passed_on(raw, text=False) == {**text, "Content-Length": "5", "Range": "x"}
