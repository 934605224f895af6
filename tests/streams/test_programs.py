"""Programs: how they start, what goes in and out, how they end."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import Client

BLOCK = 64 << 10
_LIBC = 0b11 << 31  # signals 32 and 33 are the C library's own


def test_a_program_from_its_start_to_its_end(client: Client) -> None:
    heard = client.run("cat; exit 3", b"hello\n")
    assert heard.commands == ["ready", "data", "done", "close"]
    assert heard.ready["pid"] > 0
    assert heard.data == b"hello\n"
    assert heard.closed["exit-status"] == 3
    assert "problem" not in heard.closed
    assert "message" not in heard.closed


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGKILL, "KILL"), (signal.SIGSEGV, "SEGV"), (signal.SIGRTMIN + 3, "RTMIN+3")]
)
def test_a_program_that_is_killed(client: Client, number: int, name: str) -> None:
    code = f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {int(number)})"
    heard = client.heard(client.spawn(sys.executable, "-Ic", code))
    assert heard.closed["exit-signal"] == name
    assert not {"exit-status", "problem"} & heard.closed.keys()


def test_programs_that_cannot_be_started(client: Client, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("echo hello")
    no_interpreter = tmp_path / "no-interpreter"
    no_interpreter.write_text("#!/no/such/interpreter\n")
    no_interpreter.chmod(0o755)
    for pty in (False, True):
        for program, problem in {
            "/no/such/program": "not-found",
            "no-such-program": "not-found",
            "": "not-found",
            "/etc/passwd/x": "not-found",
            "/etc": "access-denied",
            str(plain): "access-denied",
            str(no_interpreter): "not-found",
        }.items():
            closed = client.refused(spawn=[program], pty=pty)
            assert closed["problem"] == problem, (program, pty)
            assert program in closed["message"]
    closed = client.refused(spawn=["true"], environ=["X=" + "x" * (3 << 20)])
    assert closed["problem"] == "internal-error"


def test_what_is_no_program_is_given_to_the_shell(client: Client, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1"')
    script.chmod(0o755)
    for pty in (False, True):
        assert client.heard(client.spawn(str(script), "hello", pty=pty)).data.strip() == b"hello"


def test_where_a_program_is_found_and_runs(client: Client, tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\npwd")
    program.chmod(0o755)
    for pty in (False, True):
        heard = client.heard(client.spawn("mine", environ=[f"PATH={tmp_path}:/usr/bin:/bin"], directory="/", pty=pty))
        assert heard.data.strip() == b"/"
        closed = client.refused(spawn=["true"], directory=str(tmp_path / "none"), pty=pty)
        assert (closed["problem"], str(tmp_path / "none") in closed["message"]) == ("not-found", True)
        closed = client.refused(spawn=["true"], directory=str(program), pty=pty)
        assert closed["problem"] == "not-found"


def test_a_script_is_found_from_the_directory_that_it_starts_in(client: Client, tmp_path: Path) -> None:
    """Also one without `#!`, which is given to a shell."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/mine"
    script.write_text("echo hello")
    script.chmod(0o755)
    for pty in (False, True):
        heard = client.heard(client.spawn("mine", environ=["PATH=bin:/usr/bin:/bin"], directory=str(tmp_path), pty=pty))
        assert heard.data.strip() == b"hello"


def test_its_environment(client: Client, home: Home, start: Start) -> None:
    heard = client.run('echo "$A-$B-$HOME-$USER-$SHELL"', environ=["A=1", "B=2", "A=3=4"])
    user, shell = heard.data.decode().strip().split("-")[-2:]
    assert heard.data.startswith(b"3=4-2-")
    assert user
    assert shell.startswith("/")
    bare = Client(start(environ={"LANG": "C"}), "bare")
    assert bare.run('echo "$LANG-$LC_CTYPE"').data == b"C-\n"  # without the one that Python adds to its own
    told = Client(start(environ={"LANG": "C", "LC_CTYPE": "C.UTF-8"}), "told")
    assert told.run('echo "$LANG-$LC_CTYPE"').data == b"C-C.UTF-8\n"
    assert client.refused(spawn=["true"], environ=["A"])["problem"] == "protocol-error"
    assert client.refused(spawn=["true"], environ=["=x"])["problem"] == "protocol-error"


def test_it_has_three_descriptors_no_blocked_signals_and_a_session_of_its_own(client: Client) -> None:
    for pty in (False, True):
        # The shell itself has signals blocked while it starts something.
        script = "ls -x -w 200 /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status"
        heard = client.run(f"{script}; cut -d' ' -f5-6 /proc/$$/stat", pty=pty)
        fds, blocked, ignored, groups = heard.data.decode().replace("\r", "").strip().split("\n")
        assert fds.split() == ["0", "1", "2", "3"]  # the last is what lists them
        assert int(blocked.split()[1], 16) == 0
        assert int(ignored.split()[1], 16) & ~_LIBC == 0
        assert groups.split() == [str(heard.ready["pid"])] * 2


def test_bytes_that_are_no_text_in_both_directions(client: Client, tmp_path: Path) -> None:
    """Lone surrogates stand for them."""
    odd = tmp_path / "odd-\udcff"
    odd.mkdir()
    heard = client.heard(client.shell('pwd; printf %s "$0" "$X"', directory=str(odd), environ=["X=\udc80"]))
    assert heard.data.startswith(os.fsencode(odd).decode("utf-8", "replace").encode())
    heard = client.heard(client.spawn("printf", "%s", "a\udcffb", binary="raw"))
    assert heard.data == b"a\xffb"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spawn": []},
        {"spawn": "ls"},
        {"spawn": [1]},
        {"spawn": ["a\0b"]},
        {"spawn": ["\ud800"]},
        {"spawn": ["true"], "directory": "a\0"},
        {"spawn": ["true"], "directory": 5},
        {"spawn": ["true"], "environ": {}},
        {"spawn": ["true"], "err": "both"},
        {"spawn": ["true"], "pty": 1},
        {"spawn": ["true"], "pty": True, "window": []},
        {"spawn": ["true"], "pty": True, "window": {"rows": "5"}},
        {"spawn": ["true"], "batch": -1},
        {"spawn": ["true"], "latency": 1.5},
        {"spawn": ["true"], "binary": "text"},
        {"spawn": ["true"], "flow-control": "yes"},
        {"spawn": ["true"], "send-acks": "frames"},
        {"unix": "relative"},
        {"unix": "/a", "port": 5},
        {"address": "localhost"},
        {"port": 0},
        {"port": "80"},
        {"port": 65_536},
        {"port": 10**400},  # no float is as large
    ],
)
def test_options_that_are_none(client: Client, options: dict[str, Any]) -> None:
    """Told by name; nothing was done, and the session goes on."""
    closed = client.refused(**options)
    assert closed["problem"] == "protocol-error"
    named = [name for name in options if f'"{name}"' in closed["message"]]
    assert named or not options or "expected" in closed["message"]
    client.front.sync()


def test_capabilities(client: Client) -> None:
    closed = client.refused(spawn=["true"], capabilities=["fly"])
    assert (closed["problem"], closed["capabilities"]) == ("not-supported", [])
    assert client.heard(client.spawn("true", capabilities=[])).closed["exit-status"] == 0


# stderr


def test_stderr_with_the_output_ignored_and_in_the_message(client: Client) -> None:
    script = "echo one; echo two >&2; echo three; exit 1"
    assert client.run(script, err="out").data == b"one\ntwo\nthree\n"
    assert "message" not in client.run(script, err="out").closed
    heard = client.run(script, err="ignore")
    assert (heard.data, "message" in heard.closed) == (b"one\nthree\n", False)
    assert client.run(script, err="message").closed["message"] == "two\n"
    assert client.run("true", err="message").closed["message"] == ""


def test_stderr_in_the_log(client: Client) -> None:
    heard = client.run("echo hello world >&2; printf 'no end' >&2")
    assert heard.closed["message"] == "hello world\nno end"
    client.bridge.log.wait(f'program-stderr program=/bin/sh pid={heard.ready["pid"]} line="hello world"')
    client.bridge.log.wait(f'program-stderr program=/bin/sh pid={heard.ready["pid"]} line="no end"')


def test_of_much_stderr_the_end_is_told(client: Client) -> None:
    heard = client.run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2", err="message")
    first, *lines = heard.closed["message"].split("\n")
    assert "left out" in first
    assert lines[-2:] == ["line 19999", ""]
    assert len("\n".join(lines)) <= 64 << 10
    assert lines[0].startswith("line ")


def test_how_much_of_the_end_is_told(start: Start) -> None:
    """From the beginning of a line."""
    client = Client(start(limits={"stderr_bytes": 12}), "brief")
    told = client.run("printf 'one\\ntwo\\nthree\\nfour\\n' >&2").closed["message"]
    assert told == "[8 bytes left out]\nthree\nfour\n"
    assert client.run("printf 'three\\nfour\\n' >&2").closed["message"] == "three\nfour\n"


# The end


def test_output_of_children_is_read_to_its_end(client: Client) -> None:
    """However long they take after the program itself has ended."""
    channel = client.shell("exec 3<&0; (read -r word <&3; echo $word) & exit 4")
    pid = client.pid(channel)
    processes.wait_ended([pid])
    client.front.sync()
    assert client.front.commands(channel) == ["ready"]
    client.front.send(channel, b"late\n")
    heard = client.heard(channel)
    assert heard.commands == ["ready", "data", "done", "close"]
    assert (heard.data, heard.closed["exit-status"]) == (b"late\n", 4)


def test_a_program_that_closes_its_output_goes_on(client: Client) -> None:
    channel = client.shell("exec >&-; read -r word; test $word = go && exit 5")
    client.front.expect("done", channel)
    client.front.send(channel, b"go\n")
    assert client.heard(channel).closed["exit-status"] == 5


def test_what_nobody_reads_is_dropped(client: Client) -> None:
    """The program has closed its stdin: acks and pongs go on, its output and its end are its own."""
    channel = client.shell("exec <&-; echo closed; sleep 0.2; echo bye", send_acks="bytes", **{"send-acks": "bytes"})
    client.front.data(channel, 7)
    for _ in range(30):
        client.front.send(channel, b"x" * BLOCK)
    client.front.control("ping", channel=channel, cookie="end")
    heard = client.heard(channel)
    assert heard.commands.count("ack") == 30
    assert "pong" in heard.commands
    assert heard.data == b"closed\nbye\n"
    assert heard.closed["exit-status"] == 0


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:  # ended meanwhile
        return 0


@pytest.mark.parametrize("pty", [False, True])
def test_a_channel_that_is_closed_ends_the_group(client: Client, pty: bool) -> None:
    channel = client.shell("sleep 1000 | sleep 1001 & sleep 1002 & echo; wait", pty=pty)
    pid = client.pid(channel)
    client.front.take(lambda frame: frame.channel == channel, "its output")
    group = [each for each in processes.parents() if _group_of(each) == pid]
    assert len(group) >= 3
    client.front.close(channel)
    assert client.front.expect("close", channel) == {"command": "close", "channel": channel}
    assert processes.wait_ended(group) == []


def test_a_stopped_program_ends_too(client: Client) -> None:
    channel = client.shell("kill -STOP $$")
    pid = client.pid(channel)
    client.front.close(channel)
    assert processes.wait_ended([pid]) == []


def test_one_that_ignores_sigterm_is_left_and_its_id_is_free(start: Start) -> None:
    bridge = start()
    client = Client(bridge, "stays")
    channel = client.shell("trap '' TERM; echo; exec sleep 1000")
    pid = client.pid(channel)
    client.front.take(lambda frame: frame.channel == channel, "its output")
    client.front.close(channel)
    client.front.expect("close", channel)
    client.front.open(channel, "echo")
    client.front.expect("ready", channel)
    assert bridge.end() == 0
    assert processes.state(pid) != "Z"
    os.kill(pid, signal.SIGKILL)


def test_spawn_kill_seconds(start: Start) -> None:
    client = Client(start(limits={"spawn_kill_seconds": 0.2}), "killed")
    channel = client.shell("trap '' TERM; echo; exec sleep 1000")
    pid = client.pid(channel)
    client.front.take(lambda frame: frame.channel == channel, "its output")
    client.front.close(channel)
    assert processes.wait_ended([pid]) == []


def test_a_program_that_ended_leaves_its_children_alone(client: Client) -> None:
    heard = client.run("sleep 1000 > /dev/null 2>&1 < /dev/null & echo $!")
    child = int(heard.data)
    client.front.sync()
    assert processes.state(child) in tuple("RSD")  # it may not have begun to sleep yet
    os.kill(child, signal.SIGKILL)


def test_kill_ends_it_and_says_so(client: Client) -> None:
    channel = client.shell("sleep 1000", group="mine")
    pid = client.pid(channel)
    client.front.control("kill", group="mine")
    assert client.front.expect("close", channel)["problem"] == "terminated"
    assert processes.wait_ended([pid]) == []


def test_the_end_of_the_session_ends_programs(start: Start) -> None:
    client = Client(start(), "end")
    pids = [client.pid(client.shell("sleep 1000")) for _ in range(3)]
    assert client.bridge.end() == 0
    assert processes.wait_ended(pids) == []


def test_a_bridge_that_is_killed_has_its_programs_end_in_order(start: Start, tmp_path: Path) -> None:
    """SIGTERM, which they may act on."""
    client = Client(start(), "killed")
    told = tmp_path / "told"
    # What a shell has forked and not yet made a program of loses the signal: the shell ends that itself.
    act = f"trap 'echo term > {told}; kill -KILL $!; exit' TERM"
    channel = client.shell(f"{act}; echo; while :; do sleep 1000 & wait; done")
    pid = client.pid(channel)
    client.front.take(lambda frame: frame.channel == channel, "its output")
    os.kill(client.bridge.pid, signal.SIGKILL)
    assert processes.wait_ended([pid]) == []
    assert told.read_text() == "term\n"


def test_nothing_of_a_program_stays(start: Start) -> None:
    client = Client(start(), "many")
    client.run("true")
    before = processes.descriptors(client.bridge.pid)
    for number in range(30):
        heard = client.run("cat", b"x", pty=number % 3 == 0)
        assert heard.closed["exit-status"] == 0
    assert processes.descriptors(client.bridge.pid) == before
    assert [pid for pid in client.bridge.children if processes.state(pid) == "Z"] == []


def test_so_many_programs_and_no_more(start: Start) -> None:
    client = Client(start(limits={"programs": 2}), "limit")
    channels = [client.shell("sleep 1000") for _ in range(2)]
    for channel in channels:
        client.pid(channel)
    closed = client.refused(spawn=["true"])
    assert closed["problem"] == "internal-error"
    assert "programs" in closed["message"]
    client.bridge.log.wait("limit name=programs")
    client.front.close(channels[0])
    deadline = Deadline(30)
    while client.heard(client.spawn("true")).closed.get("exit-status") != 0:
        assert deadline.left_ms
