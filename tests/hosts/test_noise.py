"""What comes before the bridge over there speaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.helpers.hosts.noise import Noise
from spanbridge.protocol.control import control
from spanbridge.protocol.problems import NOT_SUPPORTED, Problem

MARK = "0123456789abcdef" * 2
INIT = control("init", version=1)
LINE = f"{MARK} spanbridge\n".encode()

STREAMS = {
    "nothing before it": (LINE + INIT, INIT, ""),
    "a greeting": (b"Welcome\n" + LINE + INIT, INIT, "Welcome"),
    "no line feed before it": (b"Welcome: " + LINE + INIT, INIT, "Welcome:"),
    "empty lines": (b"\n\r\n hello\r\n" + LINE + INIT, INIT, "hello"),
    "the command itself": (f"echo {MARK} x; exec\n".encode() + LINE + INIT, INIT, f"echo {MARK} x; exec"),
    "a number": (b"42\n" + LINE + INIT, INIT, "42"),
    "what looks like a frame": (b"99\n\n{" + LINE + INIT, INIT, "99"),
    "no line, a forced command": (INIT + b"rest", INIT + b"rest", ""),
    "bytes that are no text": (b"\xff\x00\n" + LINE, b"", "\\xff\x00"),
}


@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_what_is_the_bridges(case: str, step: int) -> None:
    stream, wanted, first = STREAMS[case]
    noise = Noise(MARK, 1_000)
    rest: bytes | None = None
    for begin in range(0, len(stream), step):
        chunk = stream[begin : begin + step]
        if rest is None:
            rest = noise.feed(chunk)
        else:
            rest += chunk
    assert rest == wanted
    assert noise.first_line == first
    assert noise.marked == (LINE in stream)
    assert noise.program == ("spanbridge" if LINE in stream else "")


def test_no_program() -> None:
    noise = Noise(MARK, 1_000)
    assert noise.feed(f"{MARK}\n".encode()) == b""
    assert noise.marked
    assert noise.program == ""


def test_noise_without_end() -> None:
    noise = Noise(MARK, 1_000)
    assert noise.feed(b"x" * 900) is None
    with pytest.raises(Problem) as caught:
        noise.feed(b"x" * 200)
    assert caught.value.code == NOT_SUPPORTED
    assert "1000" in caught.value.message


@given(st.binary(max_size=300), st.binary(max_size=50), st.integers(1, 20))
def test_any_noise_in_any_pieces(before: bytes, after: bytes, step: int) -> None:
    stream = before + LINE + after
    noise = Noise(MARK, 1_000)
    rest: bytes | None = None
    for begin in range(0, len(stream), step):
        chunk = stream[begin : begin + step]
        rest = noise.feed(chunk) if rest is None else rest + chunk
    assert rest == after
