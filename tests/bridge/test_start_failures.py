"""A helper that fails to start: each way, and who serves its opens then (docs/protocol.md, "Helpers")."""

import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    close_fd,
    command,
    data,
    die,
    exit_with,
    forever,
    fork,
    helper_rule,
    init,
    note_message,
    raw,
    read,
    ready,
    send,
    serve,
    stderr,
    wait,
)

QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}

# what it does -> what the message says of it
FAILURES: dict[str, tuple[list[Step], str]] = {
    "exits with 0": ([exit_with(0)], "exited with status 0"),
    "exits with 1": ([exit_with(1)], "exited with status 1"),
    "exits with 127": ([exit_with(127)], "exited with status 127"),
    "says why and exits": ([stderr("no such database"), exit_with(3)], "status 3.*no such database"),
    "dies by SIGKILL": ([die(signal.SIGKILL)], "SIGKILL"),
    "dies by SIGSEGV": ([die(signal.SIGSEGV)], "SIGSEGV"),
    "dies by a real-time signal": ([die(signal.SIGRTMIN + 3)], str(signal.SIGRTMIN + 3)),
    "sends data first": ([data("a", b"hello"), forever()], "'a'"),
    "sends ready first": ([send("ready", channel="a"), forever()], "ready"),
    "sends open first": ([send("open", channel="a", payload="echo"), forever()], "open"),
    "sends ping first": ([send("ping"), forever()], "ping"),
    "sends text": ([raw(b"Welcome to the helper\n"), forever()], "the line is 'Welcome to the helper'$"),
    "sends an empty line": ([raw(b"\n"), forever()], "length"),
    "sends length 0": ([raw(b"0\n\n"), forever()], "'0'"),
    "sends no JSON": ([raw(b"6\n\nhello"), forever()], "JSON"),
    "sends a list": ([raw(b"8\n\n[1,2,3]"), forever()], "object"),
    "sends no command": ([raw(b"3\n\n{}"), forever()], "command"),
    "sends half an init and exits": ([raw(b'40\n\n{"command":"init"'), exit_with(0)], "exited with status 0"),
    "wrong version": ([init(version=2), forever()], "version.*2"),
    "version as text": ([init(version="1"), forever()], "version.*1"),
    "no version": ([init(version=None), forever()], "version"),
    "leaves its stdout to a child and exits": ([fork([forever()]), exit_with(4)], "exited with status 4"),
}


# These take time that is set: they have bridges of their own.
IMPATIENT: dict[str, tuple[list[Step], str, dict[str, float]]] = {
    "never says anything": ([forever()], "no init within 0.3 s", {"handshake_seconds": 0.3}),
    "closes its stdout and lives on": ([close_fd(1), forever()], "closed its output", {"last_words_seconds": 0.1}),
}

# the next rule for all of them
NEXT = helper_rule({"payload": "with-next"}, [init(), serve()])

COMMANDS: dict[str, tuple[list[str], str]] = {
    "no file": (["/nonexistent/helper"], "/nonexistent/helper: No such file"),
    "not in PATH": (["no-such-command-in-path"], "no-such-command-in-path: No such file"),
    "not executable": (["/etc/passwd"], "/etc/passwd: Permission denied"),
    "a directory": (["/"], "/: Permission denied"),
    "arguments too long": (["/bin/true", "x" * 200_000], "longer than the system allows"),
    **{way: (command(steps), told) for way, (steps, told) in FAILURES.items()},
}


def the_four(name: str, spawn: list[str]) -> list[dict[str, Any]]:
    """Rules with a failing helper: with a problem, with a rule behind it, before an internal payload, and alone."""
    return [
        {"match": {"way": name, "payload": "with-problem"}, "spawn": spawn, "problem": "any text: żółć"},
        {"match": {"way": name, "payload": "with-next"}, "spawn": spawn},
        {"match": {"way": name, "payload": "echo"}, "spawn": spawn},
        {"match": {"way": name, "payload": "alone"}, "spawn": spawn},
    ]


def check_the_four(bridge: Bridge, name: str, first: int, told: str) -> None:
    """`first` is the position of the first of the four rules."""
    front = bridge.front_end
    begun = len(front.log)
    for payload in ("with-problem", "with-next", "echo", "alone"):
        front.open(payload, payload, way=name)
        front.send(payload, b"one ")
        front.control("options", channel=payload, batch=1)
        front.send(payload, b"two")

    refused = front.expect("close", "with-problem")
    assert refused["problem"] == "any text: żółć"
    assert_told(refused["message"], first, told)

    assert front.expect("ready", "with-next")["open"]["payload"] == "with-next"
    assert front.data("with-next", 7) == b"one two"
    front.close("with-next")
    front.expect("close", "with-next")

    front.expect("ready", "echo")
    assert front.data("echo", 7) == b"one two"
    front.close("echo")
    front.expect("close", "echo")

    nobody = front.expect("close", "alone")
    assert nobody["problem"] == "not-supported"
    assert_told(nobody["message"], first + 3, told)

    front.sync()
    told_of = [str(frame.channel or frame.message.get("channel")) for frame in front.log[begun:]]
    assert told_of.count("with-problem") == told_of.count("alone") == 1
    assert len(told_of) == 2 + 4 + 4 + 1
    assert "Traceback" not in bridge.log.text


def assert_told(message: str, position: int, told: str) -> None:
    assert f"test/bridges[{position}]" in message
    assert re.search(told, message), message


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    """With four rules for each command. One that is about to exit has all the time it needs."""
    rules = [rule for name, (spawn, _) in COMMANDS.items() for rule in the_four(name, spawn)]
    return start_shared(*rules, NEXT, limits={**QUICK, "last_words_seconds": 10})


@pytest.mark.parametrize("way", COMMANDS)
def test_an_open_goes_on_by_the_rules(bridge: Bridge, way: str) -> None:
    check_the_four(bridge, way, 4 * list(COMMANDS).index(way), COMMANDS[way][1])


@pytest.mark.parametrize("way", IMPATIENT)
def test_a_helper_that_is_given_up(start: Start, way: str) -> None:
    steps, told, limits = IMPATIENT[way]
    bridge = start(*the_four(way, command(steps)), NEXT, limits={**QUICK, "handshake_seconds": 5, **limits})
    check_the_four(bridge, way, 0, told)


def test_a_file_that_no_kernel_runs(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("no-such-command-there\n")
    program.chmod(0o755)
    check_the_four(start(*the_four("program", [str(program)]), NEXT), "program", 0, "exited with status 127")


@pytest.mark.parametrize("name", ["{directory}/program", "./program", "program"])
def test_a_script_without_its_first_line(start: Start, tmp_path: Path, name: str) -> None:
    """/bin/sh runs it, as it does from a shell; also where it is named, or PATH is, from the directory of the rule."""
    program = tmp_path / "program"
    program.write_text(f"exec {shlex.join(command([init(), serve()]))} $1\n")
    program.chmod(0o755)
    there = {"directory": str(tmp_path), "environ": ["PATH=.:/usr/bin:/bin"]}
    spawn = [name.format(directory=tmp_path), "argument"]
    front = start({"match": {"payload": "test"}, "spawn": spawn, **there}).front_end
    front.open("a")
    assert front.expect("ready", "a")["argv"] == ["argument"]


def test_a_directory_that_is_not_there(start: Start) -> None:
    rule = helper_rule({"payload": "test"}, [init(), serve()], directory="/nonexistent/directory")
    front = start(rule).front_end
    front.open("a")
    closed = front.expect("close", "a")
    assert closed["problem"] == "not-supported"
    assert "/nonexistent/directory" in closed["message"]


@pytest.mark.parametrize("members", [{}, {"problem": "the-rule-s-own"}], ids=["no problem", "problem"])
def test_the_problem_of_its_init_comes_first(start: Start, members: dict[str, str]) -> None:
    """With all other members, before the rule's own problem, and before the next rule."""
    problem = init(problem="some-problem", message="Wrong passphrase", auth_method_results={"password": "denied"})
    failing = helper_rule({"payload": "test"}, [problem, forever()], **members)
    front = start(failing, helper_rule({"payload": "test"}, [init(), serve()]), limits=QUICK).front_end
    for channel in ("a", "b"):
        front.open(channel)
    for channel in ("a", "b"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "some-problem"
        assert closed["message"] == "Wrong passphrase"
        assert closed["auth-method-results"] == {"password": "denied"}
    front.sync()
    assert front.commands("a") == front.commands("b") == ["close"]


def test_an_init_with_a_problem_needs_no_version(start: Start) -> None:
    failing = helper_rule({"payload": "test"}, [init(version=None, problem="no-forwarding"), exit_with(1)])
    front = start(failing, limits=QUICK).front_end
    front.open("a")
    assert front.expect("close", "a")["problem"] == "no-forwarding"


def test_each_bridge_that_was_tried_is_named(start: Start) -> None:
    match = {"payload": "test"}
    front = start(
        helper_rule(match, [exit_with(5)]),
        {"match": match, "spawn": ["/nonexistent/one"]},
        helper_rule(match, [die(signal.SIGTERM)]),
    ).front_end
    front.open("a")
    closed = front.expect("close", "a")
    assert closed["problem"] == "not-supported"
    for told in (
        "test/bridges[0]",
        "status 5",
        "test/bridges[1]",
        "/nonexistent/one",
        "test/bridges[2]",
        "SIGTERM",
    ):
        assert told in closed["message"]


def test_an_open_that_nobody_was_tried_for(start: Start) -> None:
    front = start().front_end
    front.open("a", "never-heard-of")
    closed = front.expect("close", "a")
    assert closed["problem"] == "not-supported"
    assert "never-heard-of" in closed["message"]
    front.control("open", channel="b")
    assert front.expect("close", "b")["problem"] == "not-supported"


def test_what_comes_before_its_init_waits_in_order(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    front = start(helper_rule({"payload": "test"}, [wait(slow), init(), serve()])).front_end
    for channel in ("a", "b"):
        front.open(channel)
        for number in range(50):
            front.send(channel, b"%02d" % number)
    front.sync()
    assert front.pending == []
    slow.release()
    for channel in ("a", "b"):
        assert front.expect("ready", channel)["open"]["channel"] == channel
        assert front.data(channel, 100) == b"".join(b"%02d" % number for number in range(50))


def test_the_init_it_is_answered_with(start: Start) -> None:
    bridge = start(
        helper_rule({"payload": "test"}, [init(), read(), note_message(), read(), note_message(), ready(), serve()])
    )
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    first, second = bridge.noted_messages
    assert first == {"command": "init", "version": 1, "host": "localhost", "superuser": False}
    assert second["command"] == "open"


def test_an_open_that_is_closed_before_its_init(start: Start, gate: Callable[[], Gate]) -> None:
    """The helper never hears of it, the id is free at once, and its failure to start closes nothing again."""
    slow = gate()
    bridge = start(helper_rule({"payload": "test"}, [wait(slow), init(), serve()]))
    front = bridge.front_end
    front.open("a")
    front.send("a", b"old")
    front.close("a")
    front.open("a")
    front.send("a", b"new")
    front.sync()
    slow.release()
    front.expect("ready", "a")
    assert front.data("a", 3) == b"new"
    front.round_trip("a")
    assert front.commands("a") == ["ready", "data", "pong"]


def test_a_closed_open_is_not_closed_again_by_the_failure(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    front = start(helper_rule({"payload": "test"}, [wait(slow), exit_with(1)], problem="no-host")).front_end
    front.open("a")
    front.open("b")
    front.close("a")
    front.sync()
    slow.release()
    assert front.expect("close", "b")["problem"] == "no-host"
    front.sync()
    assert front.commands("a") == []  # nobody had it


def test_a_version_may_be_written_as_a_fraction(start: Start) -> None:
    greeting = encode("", b'{"command":"init","version":1.0}')
    front = start(helper_rule({"payload": "test"}, [raw(greeting), serve()])).front_end
    front.open("a")
    front.expect("ready", "a")
