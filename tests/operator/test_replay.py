"""`spanbridge replay`: one side of a recording, against the real other side."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbridge.operator.recordings import misread
from spanbridge.operator.recordings.recording import Record
from spanbridge.testing import processes
from spanbridge.testing.bridge import JOURNAL, MARK, SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    command,
    data,
    exit_with,
    forever,
    init,
    note,
    note_message,
    raw,
    read,
    send,
)
from spanbridge.testing.tail import Tail

from .conversation import DONE, ECHO, INIT, OPEN, conversation, record, records, run
from .pseudo_terminal import PseudoTerminal

BEGINNING = b'{"recording":1,"started":"","command":[],"payload":""}\n'
PASSWORD = "hunter2"  # noqa: S105


@pytest.fixture
def journal(home: Home) -> Iterator[Tail]:
    """What fake helpers note; when the test is over, all of them are gone."""
    yield Tail(home.root / "journal")
    left = processes.wait_ended(processes.marked(f"{MARK}={home.root}"))
    processes.kill(left)
    assert not left


def marked(home: Home) -> dict[str, str]:
    return {MARK: str(home.root), JOURNAL: str(home.root / "journal")}


def echoed(home: Home, *payloads: bytes, options: tuple[str, ...] = ("--payload", "all")) -> Path:
    """A recording of payloads that were sent back."""
    return record(home, *command(ECHO), stdin=conversation(*payloads), options=options)


def changed(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change each record of a recording."""
    first, *others = file.read_text().splitlines()
    lines = [json.loads(line) for line in others]
    for line in lines:
        change(line)
    file.write_text("\n".join([first, *map(json.dumps, lines)]) + "\n")


# The same


def test_the_same_command_says_the_same(home: Home) -> None:
    file = echoed(home, b"hello", b"\xff\x00")
    # What `ready` tells of a fake helper is its pid, and its environment.
    done = run(home, "replay", file, "--ignore", "pid", "--ignore", "environ", "--", *command(ECHO))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"sent 5 frames, expected 5, got 5: the same\n"


def test_a_bridge(home: Home) -> None:
    file = record(home, str(SPANBRIDGE), stdin=conversation(b"hello", b"again"))
    done = run(home, "replay", file, "--", SPANBRIDGE)
    assert done.returncode == 0, done.stdout


def test_what_browsers_write_is_sent_as_it_was(home: Home) -> None:
    odd = b'{"command":"open","channel":"1","payload":"echo","x":"\\ud800","n":1e400}'
    file = record(home, "cat", stdin=encode("", odd))
    done = run(home, "replay", file, "--", "cat")
    assert (done.returncode, done.stdout) == (0, b"sent 1 frames, expected 1, got 1: the same\n"), done.stderr


def test_a_frame_waits_for_those_that_had_come_before_it(home: Home) -> None:
    """The command reads what it does not expect, if it comes too early, as something else, and says so."""
    careful = [
        init(),
        read("init"),
        note("init"),
        read("open"),
        send("ready", channel="1"),
        data("1", b"one"),
        data("1", b"two"),
        read("data"),
        data("1", b"three"),
        read("done"),
        send("close", channel="1"),
    ]
    lines = [
        {"recording": 1, "started": "", "command": [], "payload": "all"},
        *({"t": 0, **each} for each in ORDER),
    ]
    file = home.root / "by-hand.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    again = home.root / "again.jsonl"
    Tail(home.root / "journal")
    tapped = [str(SPANBRIDGE), "tap", "--payload", "all", "--output", str(again), "--", *command(careful)]
    done = run(home, "replay", file, "--", *tapped, environ=marked(home))
    assert done.returncode == 0, done.stdout
    found = [{name: each[name] for name in each if name not in ("t", "size")} for each in records(again)]
    wanted = [{name: each[name] for name in each if name != "size"} for each in ORDER]
    assert [each for each in found if not {"end", "exit"}.intersection(each)] == wanted


ORDER: list[dict[str, Any]] = [
    {"dir": "out", "message": {"command": "init", "version": 1}},
    {"dir": "in", "message": INIT},
    {"dir": "in", "message": OPEN},
    {"dir": "out", "message": {"command": "ready", "channel": "1"}},
    {"dir": "out", "channel": "1", "payload": "one", "size": 3},
    {"dir": "out", "channel": "1", "payload": "two", "size": 3},
    {"dir": "in", "channel": "1", "payload": "answer", "size": 6},
    {"dir": "out", "channel": "1", "payload": "three", "size": 5},
    {"dir": "in", "message": DONE},
    {"dir": "out", "message": {"command": "close", "channel": "1"}},
]


def test_as_a_helper_of_a_rule(start: Start, home: Home) -> None:
    """The helper is recorded first; then the recording stands in for it."""
    file = home.root / "helper.jsonl"
    tapped = ["tap", "--payload", "all", "--output", str(file), "--", *command(ECHO)]
    for arguments in (tapped, ["replay", str(file), "--as", "helper"]):
        bridge = start({"match": {"payload": "test"}, "spawn": [str(SPANBRIDGE), *arguments]})
        front = bridge.front_end
        front.open("1", "test")
        assert front.expect("ready", "1")["open"]["payload"] == "test"
        front.send("1", b"hello")
        assert front.data("1", 5) == b"hello"
        front.control("done", channel="1")
        front.expect("close", "1")
        assert bridge.end() == 0
    assert "sent 4 frames, expected 4, got 4: the same" in bridge.log.text


def test_the_channels_of_a_front_end_have_other_ids_each_time(start: Start, home: Home) -> None:
    """Those of other members are told apart, whatever the order in which they come; those alike go by order."""
    file = home.root / "helper.jsonl"
    tapped = ["tap", "--payload", "all", "--output", str(file), "--", *command(ECHO)]
    said = {"a": {"tag": 1}, "b": {"tag": 2}, "c": {"tag": 2}}
    for arguments, ids in (
        (tapped, {"a": "1:1", "b": "1:2", "c": "1:3"}),
        (["replay", str(file), "--as", "helper"], {"b": "2:1", "a": "1:2", "c": "1:1"}),
    ):
        bridge = start({"match": {"payload": "test"}, "spawn": [str(SPANBRIDGE), *arguments]})
        front = bridge.front_end
        for which, channel in ids.items():
            front.open(channel, "test", **said[which])
        for which, channel in sorted(ids.items()):
            assert front.expect("ready", channel)["open"]["tag"] == said[which]["tag"]
            front.send(channel, which.encode())
            assert front.data(channel, 1) == which.encode()
        for _, channel in sorted(ids.items()):
            front.control("done", channel=channel)
            front.expect("close", channel)
        assert bridge.end() == 0
    assert ": the same" in bridge.log.text, bridge.log.text


def test_as_a_helper_against_a_command(home: Home) -> None:
    file = record(home, "cat", stdin=encode("a", b"x"))
    done = run(home, "replay", file, "--as", "helper", "--", *command([data("a", b"x"), read("data")]))
    assert (done.returncode, done.stdout) == (0, b"sent 1 frames, expected 1, got 1: the same\n")


def test_the_delays_may_be_kept(home: Home) -> None:
    file = record(home, "cat", stdin=encode("a", b"x") + encode("a", b"y"))
    changed(file, lambda line: line.update(t=line["t"] + 0.1))
    assert run(home, "replay", "--timing", file, "--", "cat").returncode == 0


def test_the_frames_may_be_told(home: Home) -> None:
    file = record(home, "cat", stdin=encode("a", b"x"))
    done = run(home, "replay", "-v", file, "--", "cat")
    assert [line[11:] for line in done.stderr.decode().splitlines()] == ['--> a 1 bytes "x"', '<-- a 1 bytes "x"']


# Different


def replayed_by_cat(home: Home, *options: str, **wanted: Any) -> tuple[int, list[str]]:
    """What becomes of a recording that expects something else than `cat` sends back."""
    file = record(home, "cat", stdin=encode("a", b"hello") + encode_control(DONE))
    changed(file, lambda line: line.update(wanted) if line.get("dir") == "out" and "channel" in line else None)
    done = run(home, "replay", file, *options, "--", "cat")
    return done.returncode, told_by(done)


def told_by(done: "subprocess.CompletedProcess[bytes]") -> list[str]:
    """Its lines, without those of the recording: whether the end of the input or what comes back stands first there is
    not ours to say."""
    return re.sub(r" \(line \d+\)", "", done.stdout.decode()).splitlines()


def test_another_payload(home: Home) -> None:
    status, told = replayed_by_cat(home, payload="hallo")
    assert status == 1
    assert told == [
        "channel a: frame 3: expected 5 bytes 'hallo', got 5 bytes 'hello'",
        "sent 2 frames, expected 2, got 2: differences: 1",
    ]
    assert replayed_by_cat(home, "--compare", "size", payload="hallo")[0] == 0


def test_another_size(home: Home) -> None:
    status, told = replayed_by_cat(home, "--compare", "size", payload="hell", size=4)
    assert status == 1
    assert told[0] == "channel a: frame 3: expected 4 bytes 'hell', got 5 bytes 'hello'"
    assert replayed_by_cat(home, "--compare", "kind", payload="hell", size=4)[0] == 0


def test_a_shortened_payload_that_is_expected_is_compared_as_far_as_it_goes(home: Home) -> None:
    assert replayed_by_cat(home, payload="hel", shortened=True)[0] == 0
    assert replayed_by_cat(home, payload="hal", shortened=True)[0] == 1


def test_another_message(home: Home) -> None:
    file = record(home, "cat", stdin=encode_control(DONE))
    changed(file, lambda line: line["message"].update(a=1) if line.get("dir") == "out" and "message" in line else None)
    done = run(home, "replay", file, "--", "cat")
    assert done.returncode == 1
    assert told_by(done)[0] == "channel 1: frame 2: a: expected 1, got none"
    assert run(home, "replay", file, "--ignore", "a", "--", "cat").returncode == 0


def test_more_than_expected_and_less(home: Home) -> None:
    file = record(home, "cat", stdin=encode("a", b"hello"))
    done = run(home, "replay", file, "--", "sh", "-c", "cat; printf '3\\nb\\n!'")
    assert done.returncode == 1
    assert told_by(done)[0] == "channel b: one more than expected: 1 bytes '!'"
    done = run(home, "replay", file, "--", "true")
    assert done.returncode == 1
    assert told_by(done)[0] == "channel a: frame 2: did not come: 5 bytes 'hello'"


def test_garbage_instead(home: Home) -> None:
    file = record(home, "cat", stdin=encode("a", b"hello"))
    done = run(home, "replay", file, "--", *command([raw(b"Hello\n")]))
    assert done.returncode == 1
    assert "6 bytes that are no frame" in done.stdout.decode()


def test_another_status(home: Home) -> None:
    file = record(home, "cat", stdin=b"")
    done = run(home, "replay", file, "--", *command([exit_with(3)]))
    assert done.returncode == 1
    told = done.stdout.decode().splitlines()[0]
    assert told == "the command exited with status 3; in the recording its status was 0"


def test_nothing_comes(home: Home, journal: Tail) -> None:
    file = echoed(home, b"hello")
    silent = command([init(), forever()])
    done = run(home, "replay", file, "--timeout", "0.3", "--", *silent, environ=marked(home))
    assert done.returncode == 1
    told = r"nothing came for 0.3 s while it waited for ready on channel 1, frame \d \(line \d\)\n"
    assert re.search(told, done.stdout.decode())


def test_only_some_differences_are_told(home: Home) -> None:
    file = record(home, "cat", stdin=b"".join(encode("a", b"%d" % number) for number in range(100)))
    changed(file, lambda line: line.update(payload="x") if line.get("dir") == "out" and "channel" in line else None)
    done = run(home, "replay", file, "--", "cat")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 22
    assert lines[-2] == "... and 80 more"


# What cannot be played


def test_shortened_payloads(home: Home) -> None:
    file = echoed(home, b"x" * 1_000, options=())
    done = run(home, "replay", file, "--", "cat")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"spanbridge replay: {file}: frame 3 (line 4): only 256 of 1000 bytes of its payload were recorded, "
        "so it cannot be sent again as it was; record with `tap --payload all`\n"
    )


def test_garbage_that_was_sent(home: Home) -> None:
    file = record(home, "cat", stdin=b"garbage")
    done = run(home, "replay", file, "--", "cat")
    assert done.returncode == 2
    assert "frame 1 (line 2) is no frame, and cannot be sent again" in done.stderr.decode()


def test_every_member_of_a_record_is_known_to_what_tells_of_one() -> None:
    assert tuple(misread._MEMBERS) == Record.__struct_fields__


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty: expected a recording"),
        (b"hello\n", 'line 1: this is no recording: expected {"recording": 1, '),
        (b'{\n  "bridges": []\n}\n', "as `spanbridge tap --format json` writes it, found {\n"),
        (b'{"bridges": []}\n', 'found {"bridges": []}\n'),
        (b"\n", "found an empty line\n"),
        (b"\x7fELF\x02\xff" + bytes(80), "found \\x7fELF\\x02\\xff\\x00\\x00"),
        (b'{"recording":2,"started":"","command":[],"payload":""}\n', "line 1: a recording of version 2, expected 1"),
        (
            b'{"recording":1,"started":"","command":[],"payload":""}\n{"t":"x"}\n',
            't: found string "x", expected seconds\n',
        ),
        (
            BEGINNING + b'{"t":0,\n',
            "line 2: expected a record, as `spanbridge tap --format json` writes it: not JSON at",
        ),
        (BEGINNING + b"\xff\n", "line 2: expected a record"),
        (BEGINNING + b"[]\n", "found an empty list, expected an object\n"),
        (BEGINNING + b"{}\n", "it has no t, the time in seconds\n"),
        (BEGINNING + b'{"t":0,"dir":"up"}\n', 'dir: found string "up", expected "in" or "out"\n'),
        (BEGINNING + b"[" * 10_000 + b"\n", "line 2: expected a record"),
        (
            b'{"recording":1,"started":"","command":[],"payload":""}\n{"t":0,"colour":1}\n',
            "line 2: expected a record, as `spanbridge tap --format json` writes it: unknown member colour\n",
        ),
        (
            b'{"recording":1,"started":"","command":[],"payload":""}\n{"t":0,"base64":"%"}\n',
            'base64: found string "%", expected a string in base64\n',
        ),
        (b'{"recording":1,"started":"","command":[],"payload":""}\n{"t":0,"dir":"in"}\n', "neither a message nor a"),
        (BEGINNING + b'{"t":0,"dir":"in","channel":""}\n', "frame 1 (line 2): channel '': expected an id"),
        (BEGINNING + b'{"t":0,"dir":"in","message":{}}\n', "frame 1 (line 2): a message without a command"),
    ],
)
def test_what_is_no_recording(home: Home, content: bytes, told: str) -> None:
    file = home.root / "recording.jsonl"
    file.write_bytes(content)
    done = run(home, "replay", file, "--", "cat")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"spanbridge replay: {file}: " in done.stderr.decode()
    assert told in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x"], "expected -- COMMAND at the end"),
        (["--", "cat"], "the following arguments are required: FILE"),
        (["x", "--compare", "colour", "--", "cat"], "invalid choice: 'colour'"),
        (["nonesuch", "--", "cat"], "nonesuch: No such file or directory"),
        ([".", "--", "cat"], ".: Is a directory"),
    ],
)
def test_what_cannot_be_tried(home: Home, arguments: list[str], told: str) -> None:
    done = run(home, "replay", *arguments)
    assert done.returncode == 2
    assert told in done.stderr.decode()


def test_a_command_that_cannot_be_started(home: Home) -> None:
    done = run(home, "replay", record(home, "cat", stdin=b""), "--", "/nonexistent/bridge")
    assert done.returncode == 2
    assert done.stderr.decode() == "spanbridge replay: /nonexistent/bridge: No such file or directory\n"


def test_a_signal_ends_it_and_the_command(home: Home, journal: Tail) -> None:
    file = echoed(home, b"hello")
    with subprocess.Popen(
        [SPANBRIDGE, "replay", file, "--", *command([note("up"), forever()])],
        env={**home.environ, **marked(home)},
        cwd=home.root,
        stderr=subprocess.PIPE,
    ) as process:
        journal.wait('"up"')
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT


# Secrets

ASKS = [
    init(),
    read("open"),
    send("authorize", cookie="PID", challenge="plain1:"),
    read("authorize"),
    note_message(),
    send("ready", channel="1"),
    send("close", channel="1"),
]


def asking(cookie: str) -> list[str]:
    return [argument.replace("PID", cookie) for argument in command(ASKS)]


def with_a_password(home: Home) -> Path:
    """A recording of a front end that answers once it was asked."""
    file = home.root / "asked.jsonl"
    with subprocess.Popen(
        [SPANBRIDGE, "tap", "--output", str(file), "--payload", "all", "--", *asking("first")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**home.environ, **marked(home)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.write(process.stdin.fileno(), encode_control(INIT) + encode_control(OPEN))
        asked = b""
        while b"authorize" not in asked:
            asked += os.read(process.stdout.fileno(), 65_536)
        answer = {"command": "authorize", "cookie": "first", "response": PASSWORD}
        process.stdin.write(encode_control(answer))
        process.stdin.close()
        process.stdout.read()
        assert process.wait(SECONDS) == 0
    assert PASSWORD not in file.read_text()
    return file


def test_a_password_that_was_left_out_is_asked_for(home: Home, journal: Tail) -> None:
    file = with_a_password(home)
    argv = [str(SPANBRIDGE), "replay", "-v", str(file), "--", *asking("second")]
    with PseudoTerminal(argv, {**home.environ, **marked(home)}, home.root) as terminal:
        terminal.wait_shown(r"The response of frame \d+ \(line \d+\), which was left out: ")
        assert not terminal.echo
        terminal.type(PASSWORD.encode() + b"\r")
        assert terminal.wait() == 0, terminal.text
        assert PASSWORD not in terminal.text
    assert len(journal.matches(PASSWORD)) == 2
    assert journal.matches(r'\\"cookie\\": \\"second\\"')


def test_a_password_that_was_left_out_and_nobody_to_ask(home: Home, journal: Tail) -> None:
    done = run(home, "replay", with_a_password(home), "--", "cat")
    assert done.returncode == 2
    assert "its response was left out, and there is no terminal to ask for it" in done.stderr.decode()
