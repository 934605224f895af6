"""A whole helper as a process: its stdin and stdout, how it ends, what it says when something is wrong."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import Decoder, Frame, encode, encode_control
from spanbridge.testing.front_end import FrontEnd

PROGRAMS = [sys.executable, "-m", "tests.sdk.programs"]
ROOT = Path(__file__).resolve().parents[2]
INIT = encode_control({"command": "init", "version": 1, "host": "localhost"})


def control(command: str, channel: str, **members: object) -> bytes:
    return encode_control({"command": command, "channel": channel, **members})


OPEN = control("open", "a", payload="test")
DONE = control("done", "a")


def run(kind: str, sent: bytes, **environ: str) -> tuple[int, list[Frame], str]:
    """A helper that gets all of `sent`, then the end: its status, what it said, its stderr."""
    done = subprocess.run(
        [*PROGRAMS, kind],
        input=sent,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if name != "SPANBRIDGE_DEBUG"}, **environ},
    )
    return done.returncode, Decoder().feed(done.stdout), done.stderr.decode()


def told(frames: Sequence[Frame]) -> list[str | bytes]:
    return [frame.payload if frame.channel else frame.message["command"] for frame in frames]


class Running:
    def __init__(self, process: "subprocess.Popen[bytes]", front_end: FrontEnd) -> None:
        self.process = process
        self.front_end = front_end

    def end(self) -> tuple[int, str]:
        """Its status, and its stderr."""
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors.decode()


@contextmanager
def running(kind: str, **members: object) -> Iterator[Running]:
    """A helper with one channel open."""
    child_in, to_child = os.pipe()
    from_child, child_out = os.pipe()
    process = subprocess.Popen(
        [*PROGRAMS, kind], stdin=child_in, stdout=child_out, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    os.close(child_in)
    os.close(child_out)
    front_end = FrontEnd(to_child, from_child)
    try:
        front_end.expect("init", version=1)
        front_end.init()
        front_end.open("a", **members)  # type: ignore[arg-type]
        yield Running(process, front_end)
    finally:
        front_end.hang_up()
        front_end.stop_listening()
        process.kill()
        process.communicate()


def test_all_at_once() -> None:
    status, frames, errors = run("echo", INIT + OPEN + encode("a", b"hello") + DONE)
    assert (status, errors) == (0, "")
    assert told(frames) == ["init", "ready", b"hello", "done", "close"]


def test_nothing_at_all() -> None:
    for sent in (b"", INIT):
        status, frames, errors = run("echo", sent)
        assert (status, told(frames), errors) == (0, ["init"], "")


def test_what_is_printed_goes_to_stderr() -> None:
    status, frames, errors = run("noisy", INIT + OPEN + encode("a", b"1") + encode("a", b"2") + DONE)
    assert status == 0
    assert told(frames) == ["init", "ready", b"1", b"2", "done", "close"]
    for line in ("printed b'1'", "written to fd 1", "from a child", "not flushedprinted b'2'"):
        assert line in errors.splitlines()
    assert errors.endswith("not flushedat exit\n")


def test_files_in_place_of_pipes(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(INIT + OPEN + encode("a", b"hello") + DONE)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        subprocess.run([*PROGRAMS, "echo"], stdin=source, stdout=sink, timeout=SECONDS, check=True, cwd=ROOT)
    assert told(Decoder().feed((tmp_path / "out").read_bytes())) == ["init", "ready", b"hello", "done", "close"]


def test_one_socket_in_place_of_pipes() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*PROGRAMS, "echo"], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, cwd=ROOT
            )
        front_end = FrontEnd(os.dup(ours.fileno()), os.dup(ours.fileno()))
        front_end.expect("init")
        front_end.init()
        front_end.open("a")
        front_end.expect("ready", "a")
        front_end.send("a", b"x" * 3_000_000)
        assert front_end.data("a", 3_000_000) == b"x" * 3_000_000
        ours.shutdown(socket.SHUT_WR)
        front_end.read_to_end()
        _, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, b"")
        front_end.hang_up()
        front_end.stop_listening()


def test_it_shares_no_flags_with_whoever_has_its_pipes() -> None:
    """Non-blocking is a property of the open file, which a shell may have open too."""
    with running("echo") as helper:
        helper.front_end.expect("ready", "a")
        for fd in (0, 1, 2):
            flags = Path(f"/proc/{helper.process.pid}/fdinfo/{fd}").read_text()
            (octal,) = [line.split()[1] for line in flags.splitlines() if line.startswith("flags")]
            assert not int(octal, 8) & os.O_NONBLOCK
        assert os.readlink(f"/proc/{helper.process.pid}/fd/0") == os.devnull
        assert os.readlink(f"/proc/{helper.process.pid}/fd/1") == os.readlink(f"/proc/{helper.process.pid}/fd/2")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"hello\n", "expected a frame length, a decimal number, found 'hello' (frame at byte 0 of the stream)"),
        (INIT + b"007\n", "expected a frame length, a decimal number, found '007' (frame at byte 58 of the stream)"),
        (INIT + b"100\na\nhalf", "stdin ended within a frame"),
        (encode_control({"command": "init", "version": 2}), "expected version 1, found 2"),
        (OPEN, "expected init, found 'open'"),
        (encode("a", b"x"), "expected init, found data"),
        (INIT + encode("", b"[]"), "expected a control message"),
        (INIT + encode("", b'{"command":1}'), 'control message: expected a string as its "command", found int'),
        (INIT + OPEN + OPEN, "open of channel 'a': expected an id that is not in use"),
    ],
)
def test_what_is_not_the_protocol(sent: bytes, expected: str) -> None:
    status, _, errors = run("echo", sent)
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("protocol error: ")
    assert expected in line


def test_a_person_is_told_what_it_is() -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([*PROGRAMS, "echo"], stdin=theirs, capture_output=True, timeout=SECONDS, cwd=ROOT)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"programs.py is a helper" in done.stderr


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "<&- >&-"])
def test_without_stdin_or_stdout(redirection: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAMS, "echo"],
        input=b"",
        capture_output=True,
        timeout=SECONDS,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert done.stderr == b"protocol error: expected a pipe as stdin and one as stdout: found none\n"


def test_without_stderr() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *PROGRAMS, "failing"],
        input=INIT + OPEN + encode("a", b"raise"),
        capture_output=True,
        timeout=SECONDS,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert told(Decoder().feed(done.stdout)) == ["init", "ready", "close"]


def test_a_handler_that_raises_is_one_line() -> None:
    sent = INIT + OPEN + encode("a", b"raise")
    status, frames, errors = run("failing", sent)
    assert (status, told(frames)) == (0, ["init", "ready", "close"])
    assert errors == "channel a: ZeroDivisionError: of zero\n"
    status, _, errors = run("failing", sent, SPANBRIDGE_DEBUG="helper")
    assert status == 0
    assert "Traceback (most recent call last):" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_all_and_ends_it(number: signal.Signals) -> None:
    with running("last-words") as helper:
        helper.front_end.expect("ready", "a")
        os.kill(helper.process.pid, number)
        closed = helper.front_end.expect("close", "a", problem="terminated")
        assert closed["message"] == f"the helper was told to end ({number.name})"
        assert helper.end() == (0, "cleaned up a\n")


def test_a_signal_while_nobody_reads() -> None:
    with running("flood", frames=1 << 40) as helper:
        helper.front_end.reading = False
        helper.front_end.wait_until(lambda: len(helper.front_end.log) > 100, "a flood")
        os.kill(helper.process.pid, signal.SIGTERM)
        assert helper.process.wait(SECONDS) == 0


def test_who_goes_away_ends_it_without_a_word() -> None:
    with running("flood", frames=1 << 40) as helper:
        helper.front_end.wait_until(lambda: len(helper.front_end.log) > 100, "a flood")
        helper.front_end.stop_listening()
        assert helper.end() == (0, "")


def test_the_end_of_stdin_ends_handlers_that_do_not_listen() -> None:
    with running("last-words") as helper:
        helper.front_end.expect("ready", "a")
        helper.front_end.hang_up()
        helper.front_end.expect("close", "a", problem="terminated")
        assert helper.end() == (0, "cleaned up a\n")


def test_refusing() -> None:
    status, frames, errors = run("refusing", INIT)
    assert (status, errors) == (1, "")
    assert [frame.message for frame in frames] == [
        {"command": "init", "version": 1, "problem": "not-found", "message": "no such database", "path": "/nowhere"}
    ]


def test_without_run() -> None:
    status, frames, errors = run("one-by-one", INIT + OPEN + control("open", "b"))
    assert (status, errors) == (0, "")
    assert told(frames) == ["init", b"localhost a", "close", b"localhost b", "close"]


def test_what_is_printed_before_it_runs_is_logged_line_by_line() -> None:
    """As soon as the SDK is imported; and in the order in which it is said."""
    status, frames, errors = run("echo", INIT + OPEN + DONE, PRINT_AT_ONCE="1")
    assert (status, told(frames)) == (0, ["init", "ready", "done", "close"])
    assert errors.splitlines()[:2] == ["printed before anything runs", "written before anything runs"]


def test_a_program_that_is_no_helper_keeps_its_stdout() -> None:
    """Without a pipe on both sides nobody can be a bridge."""
    code = "import spanbridge.sdk; print('mine')"
    with open(os.devnull) as nothing:
        done = subprocess.run([sys.executable, "-c", code], stdin=nothing, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("mine\n", "")
