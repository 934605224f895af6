"""`spanbridge tap`: what goes through it is unchanged, and what it writes down is the truth without the secrets."""

import array
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanbridge.operator.recordings.recording import Describer, Record
from spanbridge.testing import processes
from spanbridge.testing.bridge import JOURNAL, MARK, SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import command, forever, helper_rule, init, note, on_signal, serve
from spanbridge.testing.tail import Tail

from .conversation import ECHO, conversation, record, records, run
from .pseudo_terminal import PseudoTerminal

SECRET = "the-horse-staple"  # noqa: S105


def tap(home: Home, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return run(home, "tap", *arguments, stdin=stdin)


@pytest.fixture
def journal(home: Home) -> Iterator[Tail]:
    """What fake helpers note; when the test is over, all of them are gone."""
    yield Tail(home.root / "journal")
    left = processes.wait_ended(processes.marked(f"{MARK}={home.root}"))
    processes.kill(left)
    assert not left


def start(home: Home, *argv: str, **arguments: Any) -> "subprocess.Popen[bytes]":
    """A tap that runs while the test does."""
    return subprocess.Popen(
        [SPANBRIDGE, "tap", "--output", "recording.jsonl", *argv],
        env={**home.environ, MARK: str(home.root), JOURNAL: str(home.root / "journal")},
        cwd=home.root,
        **arguments,
    )


# Bytes

chunks = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.builds(encode, st.sampled_from(["a", "b"]), st.binary(max_size=200)),
        st.builds(encode_control, st.just({"command": "open", "channel": "a", "payload": "dbus-json3"})),
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks)
def test_any_bytes_come_through_unchanged(home: Home, sent: list[bytes]) -> None:
    done = tap(home, "--output", "x", "--", "cat", stdin=b"".join(sent))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"".join(sent), b"")


def test_many_bytes_come_through_unchanged(home: Home) -> None:
    sent = os.urandom(5_000_000)
    assert tap(home, "--output", "x", "--", "cat", stdin=sent).stdout == sent


def test_a_rule_may_spawn_it(start: Start, home: Home) -> None:
    file = home.root / "tapped.jsonl"
    rule = helper_rule({"payload": "test"}, [init(), serve()])
    rule["spawn"] = [str(SPANBRIDGE), "tap", "--output", str(file), "--", *rule["spawn"]]
    bridge = start(rule)
    bridge.front_end.open("a", "test")
    bridge.front_end.expect("ready", "a")
    bridge.front_end.send("a", b"hello")
    assert bridge.front_end.data("a", 5) == b"hello"
    assert bridge.end() == 0
    told = [each for each in records(file) if each.get("channel") == "a"]
    assert [(each["dir"], each["payload"]) for each in told] == [("in", "hello"), ("out", "hello")]


def test_a_large_frame_is_not_kept(home: Home) -> None:
    size = 90_000_000
    file = Tail(home.root / "recording.jsonl")
    with start(home, "--", "cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(encode("a", b"x" * size))
        file.wait('"dir":"out"')
        assert processes.peak_bytes(process.pid) < 60_000_000
        process.stdin.close()
        assert process.wait(SECONDS) == 0
    told = [each for each in records(file.path) if "channel" in each]
    assert [(each["dir"], each["size"], each["payload"], each["shortened"]) for each in told] == [
        ("in", size, "x" * 256, True),
        ("out", size, "x" * 256, True),
    ]


def test_memory_is_bounded_whoever_is_slow(home: Home) -> None:
    frame, count = encode("a", b"x" * 65_000), 1_500
    source = home.root / "source"
    source.write_bytes(frame * count)
    with source.open("rb") as file, start(home, "--", "cat", stdin=file, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        read = peak = 0
        while chunk := os.read(process.stdout.fileno(), 8_192):
            read += len(chunk)
            if read > len(frame) * count // 2 and not peak:
                peak = processes.peak_bytes(process.pid)
        assert process.wait(SECONDS) == 0
    assert read == len(frame) * count
    assert 0 < peak < 60_000_000


# What is written down


def test_a_conversation_as_json(home: Home) -> None:
    told = records(record(home, *command(ECHO), stdin=conversation(b"hello", b"\xff")))
    assert all(each.pop("t") >= 0 for each in told)
    asked = [each for each in told if each.get("dir") == "in"]  # the other side may speak first
    assert asked[:5] == [
        {"dir": "in", "size": 54, "message": {"command": "init", "version": 1, "host": "localhost"}},
        {"dir": "in", "size": 54, "message": {"command": "open", "channel": "1", "payload": "echo"}},
        {"dir": "in", "channel": "1", "size": 5, "payload": "hello"},
        {"dir": "in", "channel": "1", "size": 1, "base64": "/w=="},
        {"dir": "in", "size": 35, "message": {"command": "done", "channel": "1"}},
    ]
    answers = [each for each in told if each.get("dir") == "out"]
    assert [each.get("payload") or each.get("base64") for each in answers if "channel" in each] == ["hello", "/w=="]
    assert answers[-1] == {"dir": "out", "end": True}
    assert told[-1] == {"exit": 0}


def test_a_conversation_as_text(home: Home) -> None:
    done = tap(home, "--", *command(ECHO), stdin=conversation(b'he said "\x1b[2J"\n'))
    text = done.stderr.decode()
    assert '--> open 1 {"payload":"echo"}\n' in text
    assert '--> 1 15 bytes "he said \\"\\x1b[2J\\"\\n"\n' in text
    assert '<-- 1 15 bytes "he said \\"\\x1b[2J\\"\\n"\n' in text
    assert text.endswith("exit status 0\n")


ODD = b'{"command":"open","channel":"1","payload":"echo","x":"\\ud800","\\ud801":1e400}'
"""As browsers may write it, and msgspec does not."""


@pytest.mark.parametrize("form", ["json", "text"])
def test_half_a_character_and_a_number_beyond_any_float(home: Home, form: str) -> None:
    sent = encode("", ODD) + encode("1", b"hello")
    done = tap(home, "--output", "x", "--format", form, "--", "cat", stdin=sent)
    assert (done.returncode, done.stdout, done.stderr) == (0, sent, b"")
    assert (home.root / "x").read_text().count('"x":"\\ud800","\\ud801":1e400') == 2


@pytest.mark.parametrize(
    ("option", "kept"), [("all", "grün" * 100), ("none", None), ("3", "gr"), ("4", "grü"), ("0", None)]
)
def test_payloads_are_shortened_between_characters(home: Home, option: str, kept: str | None) -> None:
    sent = ("grün" * 100).encode()
    file = record(home, "cat", stdin=encode("a", sent), options=("--payload", option))
    told = records(file)[0]
    assert told.get("payload") == kept
    assert told["size"] == len(sent)
    assert told.get("shortened", False) == (option != "all")


def test_bytes_that_are_no_frames_are_told_of(home: Home) -> None:
    sent = encode("a", b"x") + b"Oops, a print\n"
    told = [each for each in records(record(home, "cat", stdin=sent)) if each.get("dir") == "out"]
    assert told[0]["channel"] == "a"
    assert told[1]["garbage"].startswith("expected a frame length, a decimal number, found 'Oops, a p'")
    assert (told[1]["payload"], told[1]["size"]) == ("Oops, a print\n", 14)


def test_a_frame_that_is_not_whole_is_told_of(home: Home) -> None:
    told = records(record(home, "cat", stdin=encode("a", b"hello")[:-2]))
    assert {"dir": "in", "size": 7, "end": True}.items() <= told[0].items()


def test_the_file_is_for_its_owner_alone(home: Home) -> None:
    file = home.root / "recording.jsonl"
    file.write_text("before")
    file.chmod(0o644)
    assert record(home, "true", stdin=b"") == file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "before" not in file.read_text()


def test_the_pid_in_the_name_of_the_file(home: Home) -> None:
    assert tap(home, "--output", "r-%p", "--", "true").returncode == 0
    assert [path.name[2:].isdigit() for path in home.root.glob("r-*")] == [True]


@pytest.mark.parametrize(
    ("file", "told"),
    [("link", "link: it is a symbolic link"), (".", ".: Is a directory"), ("no/x", "no/x: No such file or directory")],
)
def test_a_file_that_cannot_be_written(home: Home, file: str, told: str) -> None:
    (home.root / "link").symlink_to("elsewhere")
    done = tap(home, "--output", file, "--", "cat", stdin=b"x")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"spanbridge tap: {told}\n"


def test_a_full_disk_stops_the_record_and_nothing_else(home: Home) -> None:
    sent = b"".join(encode("a", b"x" * 100) for _ in range(2_000))
    done = subprocess.run(
        [SPANBRIDGE, "tap", "--output", "x", "--", "cat"],
        input=sent,
        capture_output=True,
        env=home.environ,
        cwd=home.root,
        timeout=SECONDS,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096)),
    )
    assert (done.returncode, done.stdout) == (0, sent)
    assert done.stderr == b"spanbridge tap: nothing more is recorded: File too large\n"


# Secrets

SECRETIVE: list[dict[str, Any]] = [
    {"command": "authorize", "cookie": "c", "response": SECRET},
    {"command": "authorize", "cookie": "c", "challenge": f"plain1:{SECRET}", "prompt": "Password: "},
    {"command": "authorize", "cookie": "c", "login-data": {"token": SECRET}},
    {"command": "open", "channel": "a", "payload": "x", "password": SECRET},
    {"command": "open", "channel": "a", "payload": "x", "ssh": {"Password": [SECRET]}},
    {"command": "open", "channel": "a", "payload": "http-stream2", "headers": {"Authorization": f"Basic {SECRET}"}},
    {"command": "open", "channel": "a", "payload": "http-stream2", "headers": {"Cookie": SECRET}},
    {"command": "init", "version": 1, "response": SECRET},
]
BUS = {"command": "open", "channel": "bus", "payload": "dbus-json3", "bus": "internal"}
ANSWER = {"call": ["/superuser", "cockpit.Superuser", "Answer", [SECRET]], "id": "1"}

secretive = st.one_of(
    st.sampled_from([encode_control(each) for each in SECRETIVE]),
    st.just(encode_control(BUS) + encode("bus", json.dumps(ANSWER).encode())),
    st.just(encode_control(BUS) + encode("bus", json.dumps({**ANSWER, "id": "x" * 400_000}).encode())),
    st.just(encode_control(BUS) + encode("bus", json.dumps(ANSWER).encode() + b"}")),
    st.builds(lambda message: b"garbage" + encode_control(message), st.sampled_from(SECRETIVE)),
    st.builds(lambda message: encode("", json.dumps(message).encode()[1:]), st.sampled_from(SECRETIVE)),
)
harmless = st.builds(encode, st.sampled_from(["a", "bus"]), st.binary(max_size=50))


def told_of(stream: bytes, cuts: list[int], keep: int | None) -> bytes:
    """All that is recorded of a stream that is read in pieces."""
    describer = Describer(keep)
    ends = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    found: list[Record] = []
    for begin, end in pairwise(ends):
        found += describer.feed("in", stream[begin:end], 0.0)
    found.append(describer.end("in", 0.0))
    return b"\n".join(map(msgspec.json.encode, found))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(harmless, secretive), max_size=4),
    secretive,
    st.lists(st.integers(0, 1_000_000), max_size=4),
    st.sampled_from([None, 0, 20, 256, 100_000]),
)
def test_no_secret_is_recorded_however_it_comes(
    before: list[bytes], last: bytes, cuts: list[int], keep: int | None
) -> None:
    told = told_of(b"".join([*before, last]), cuts, keep)
    assert SECRET.encode() not in told


@pytest.mark.parametrize("message", SECRETIVE)
def test_what_is_left_of_a_message_with_a_secret(message: dict[str, Any]) -> None:
    told = json.loads(told_of(encode_control(message), [], None).splitlines()[0])
    assert told["redacted"]
    assert told["message"] == json.loads(
        json.dumps(message)
        .replace(f"Basic {SECRET}", "<redacted>")
        .replace(f'["{SECRET}"]', '"<redacted>"')
        .replace(f'{{"token": "{SECRET}"}}', '"<redacted>"')
        .replace(SECRET, "<redacted>")
    )


def test_an_answer_to_a_privileged_helper_is_left_out() -> None:
    stream = encode_control(BUS) + encode("bus", json.dumps(ANSWER).encode())
    told = json.loads(told_of(stream, [], None).splitlines()[1])
    assert json.loads(told["payload"]) == {"call": [*ANSWER["call"][:3], "<redacted>"], "id": "1"}
    assert told["redacted"] == ["payload"]


@pytest.mark.parametrize("beside", [b"1e400", b'"\xff"', b"[" * 2_000 + b"]" * 2_000])
def test_an_answer_beside_what_cannot_be_read_is_left_out_whole(beside: bytes) -> None:
    answer = json.dumps(ANSWER).encode()[:-1] + b', "x": %b}' % beside
    told = json.loads(told_of(encode_control(BUS) + encode("bus", answer), [], None).splitlines()[1])
    assert "payload" not in told
    assert told["redacted"] == ["payload"]


def test_a_secret_that_is_nested_deeply() -> None:
    for depth in (10, 100, 300, 600, 900, 5_000):
        nested = f'{{"a":{"[" * depth}{{"password":"{SECRET}"}}{"]" * depth},"command":"open","channel":"b"}}'
        told = told_of(encode("", nested.encode()), [], None)
        assert SECRET.encode() not in told
        assert b"<redacted>" in told or b"no JSON object" in told


def test_what_is_no_secret_stays() -> None:
    other = {"call": ["/a", "b.c", "Get", ["password"]], "id": "2"}
    told = told_of(encode_control(BUS) + encode("bus", json.dumps(other).encode()), [], None).splitlines()
    assert json.loads(json.loads(told[1])["payload"]) == other
    assert b"redacted" not in b"".join(told)


# The command


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["/nonexistent/helper"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_the_status_of_the_command_is_ours(home: Home, argv: list[str], status: int) -> None:
    done = tap(home, "--output", "x.jsonl", "--", *argv)
    assert done.returncode == status
    assert records(home.root / "x.jsonl")[-1]["exit"] == status
    if status in (126, 127):
        assert done.stderr.decode().startswith(f"spanbridge tap: {argv[0]}: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cat"], "expected -- COMMAND at the end"),
        (["--"], "expected a command behind --"),
        (["--payload", "much", "--", "cat"], "'much': expected a number of bytes, none or all"),
        (["--format", "xml", "--", "cat"], "invalid choice: 'xml'"),
        (["x", "--", "cat"], "unrecognized arguments: x"),
    ],
)
def test_arguments_that_are_none(home: Home, arguments: list[str], told: str) -> None:
    done = tap(home, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert told in done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(home: Home, journal: Tail, number: signal.Signals) -> None:
    steps = [on_signal(number, [note("signal"), ["exit", 5]]), note("ready"), forever()]
    with start(home, "--", *command(steps), stdin=subprocess.PIPE, start_new_session=True) as process:
        journal.wait('"ready"')
        process.send_signal(number)
        assert process.wait(SECONDS) == 5
    assert journal.matches('"signal"')


def test_ctrl_c_is_not_told_twice(home: Home, journal: Tail) -> None:
    steps = [on_signal(signal.SIGINT, [note("interrupt")]), note("ready"), forever()]
    argv = [str(SPANBRIDGE), "tap", "--output", "x", "--", *command(steps)]
    environ = {**home.environ, MARK: str(home.root), JOURNAL: str(journal.path)}
    with PseudoTerminal(argv, environ, home.root) as terminal:
        journal.wait('"ready"')
        terminal.type(b"\x03")
        journal.wait('"interrupt"')
        terminal.process.terminate()
        assert terminal.wait() == 128 + signal.SIGTERM
    assert len(journal.matches('"interrupt"')) == 1


def test_the_command_does_not_outlive_us(home: Home, journal: Tail) -> None:
    with start(home, "--", *command([note("ready"), forever()]), stdin=subprocess.PIPE) as process:
        journal.wait('"ready"')
        process.kill()


def test_the_end_of_stdin_is_passed_on_while_answers_still_come(home: Home) -> None:
    assert tap(home, "--output", "x", "--", "sh", "-c", "cat; echo end", stdin=b"hello").stdout == b"helloend\n"


def test_the_command_closes_its_stdout_and_lives_on(home: Home, journal: Tail) -> None:
    steps = [["close", 1], on_signal(signal.SIGTERM, [["exit", 0]]), note("closed"), forever()]
    with start(home, "--", *command(steps), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""
        journal.wait('"closed"')
        assert process.poll() is None
        process.terminate()
        assert process.wait(SECONDS) == 0


def test_nobody_reads_what_the_command_says(home: Home) -> None:
    with start(home, "--", "yes", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(100)
        process.stdout.close()
        assert process.wait(SECONDS) == 128 + signal.SIGPIPE


def _write_on_and_on(fd: int) -> None:
    while True:
        os.write(fd, b"x" * 65_536)


def test_the_command_reads_no_more(home: Home, journal: Tail) -> None:
    steps = [on_signal(signal.SIGTERM, [["exit", 0]]), ["close", 0], note("closed"), forever()]
    with start(home, "--", *command(steps), stdin=subprocess.PIPE) as process:
        journal.wait('"closed"')
        assert process.stdin is not None
        with pytest.raises(BrokenPipeError):
            _write_on_and_on(process.stdin.fileno())
        process.terminate()
        assert process.wait(SECONDS) == 0


def test_what_the_command_leaves_running_is_not_waited_for(home: Home) -> None:
    done = run(home, "tap", "--output", "x", "--", "sh", "-c", "sleep 60 2>/dev/null & echo $!")
    pid = int(done.stdout)
    processes.kill([pid])
    assert done.returncode == 0


def test_stderr_of_the_command_is_untouched(home: Home) -> None:
    assert tap(home, "--output", "x", "--", "sh", "-c", "printf '\\377no end' >&2").stderr == b"\xffno end"


ASKS_FOR_DESCRIPTOR = """
import array, os, socket
with socket.socket(fileno=os.dup(0)) as wire:
    wire.sendall(b'29\\n\\n{"command":"send-stderr"   }')
    data, messages, _, _ = wire.recvmsg(1, 64)
    (fd,) = array.array("i", messages[0][2][:4])
    os.write(fd, b"through a passed descriptor")
"""


def test_a_socket_and_the_descriptors_that_come_through_it(home: Home) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    program = [sys.executable, "-c", ASKS_FOR_DESCRIPTOR]
    with ours, theirs, start(home, "--", *program, stdin=theirs, stdout=theirs) as process:
        theirs.close()
        assert b"send-stderr" in ours.recv(1_000)
        ours.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))])
        os.close(writer)
        assert process.wait(SECONDS) == 0
        assert ours.recv(1_000) == b""
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"through a passed descriptor"
    told = records(home.root / "recording.jsonl")
    assert [each["descriptors"] for each in told if "descriptors" in each] == [1]
