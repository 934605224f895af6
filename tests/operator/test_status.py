"""`spanbridge status` tells what running bridges do."""

import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from spanbridge.operator import status as status_tool
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.frames import encode_control
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, forever, helper_rule, init, note, read, ready, send, serve, stderr

from ..docs.pages import DOCS, blocks


def status(home: Home, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(SPANBRIDGE), "status", *arguments]
    told = subprocess.run(
        command, env={**home.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in told.stderr
    return told


def told(home: Home) -> list[dict[str, Any]]:
    done = status(home, "--json")
    assert done.returncode in (0, 1), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def socket_of(bridge: Bridge, home: Home) -> str:
    (path,) = (home.runtime / "spanbridge").glob(f"{bridge.pid}-*.sock")
    return str(path)


def test_helpers_channels_bytes(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()], "${tag}", "it's $5"))
    front = bridge.front_end
    for channel, tag in (("a", "one"), ("b", "one"), ("c", "two")):
        front.open(channel, tag=tag)
    pids = [front.expect("ready", channel)["pid"] for channel in ("a", "b", "c")]
    front.open("e", "echo")
    front.send("a", b"x" * 100_000)
    front.data("a", 100_000)
    (one,) = told(home)
    assert one["pid"] == bridge.pid
    assert one["host"] == "localhost"
    assert one["channels"]["open"] == 4
    assert one["channels"]["internal"] == {"echo": 1}
    assert one["front-end"]["bytes-in"] > 100_000
    assert one["front-end"]["bytes-out"] > 100_000
    first, second = one["helpers"]
    assert (first["pid"], second["pid"]) == (pids[0], pids[2])
    assert first["rule"] == "test/bridges[0]"
    assert first["state"] == "ready"
    assert first["variables"] == {"tag": "one"}
    assert first["command"][-2:] == ["one", "it's $5"]
    assert first["channels"] == 2
    assert first["bytes-in"] > 100_000
    assert first["bytes-out"] > 100_000
    assert second["bytes-in"] < 10_000
    assert one["rules"] == {"test/bridges[0]": {"started": 2, "failed": 0, "rests": 0, "last-end": None}}

    text = status(home).stdout
    assert f"bridge {bridge.pid}" in text
    assert "4 open" in text
    assert str(pids[0]) in text
    assert "tag=one" in text
    assert "\33" not in text


def shape(value: Any) -> Any:
    """The members of objects, at any depth, but for those that are named by what they are of."""
    if isinstance(value, dict):
        inner = {name: shape(each) for name, each in value.items()}
        return inner if all(re.fullmatch("[a-z-]+", name) for name in value) else list(inner.values())[:1]
    return [shape(each) for each in value[:1]] if isinstance(value, list) else None


def test_what_is_told_is_what_docs_tell_of(start: Start, home: Home) -> None:
    good, bad = helper_rule({"payload": "test"}, [init(), serve()], "${tag}"), helper_rule({}, [exit_with(1)])
    front = start(good, bad).front_end
    front.open("a", tag="x")
    front.expect("ready", "a")
    front.open("b", "other", a=1)
    front.expect("close", "b")
    (one,) = told(home)
    (block,) = blocks(DOCS / "tools.md", "json", "status")
    (shown,) = json.loads(block.text)
    rules = [[shape(rule) for rule in each["rules"].values()] for each in (one, shown)]
    assert rules[0] == rules[1]
    for each in (one, shown):
        for name in ("rules", "limits-hit"):
            del each[name]
        each["channels"]["internal"] = {}
        each["helpers"][0]["variables"] = {}
    assert shape(one) == shape(shown)


def test_a_helper_that_is_stuck(start: Start, home: Home) -> None:
    rule = helper_rule({"payload": "test"}, [init(), read("open"), ready(), forever()])
    bridge = start(rule, limits={"helper_queue_bytes": 100_000})
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    frame = b"10002\na\n" + b"x" * 10_000

    def send() -> None:
        with suppress(OSError):  # when the bridge ends
            front.write(frame * 400)

    sending = threading.Thread(target=send)
    sending.start()
    bridge.log.wait("helper_queue_bytes")
    (one,) = told(home)
    assert one["helpers"][0]["queued"] > 100_000
    assert not one["front-end"]["read"]
    assert one["limits-hit"] == {"helper_queue_bytes": 1}
    text = status(home).stdout
    assert "not read: a queue is full" in text
    assert "SPANBRIDGE_HELPER_QUEUE_BYTES" in text
    bridge.signal(signal.SIGTERM)
    sending.join()


def test_opens_that_are_not_answered(start: Start, home: Home) -> None:
    """Those that a helper has said nothing of, for how long; on a terminal once that is long."""
    bridge = start(
        helper_rule({"payload": "test"}, [init(), read("open"), ready(), read("open"), note("b"), forever()])
    )
    front = bridge.front_end
    for channel in ("a", "b", "c"):
        front.open(channel)
    front.expect("ready", "a")
    bridge.wait_note("b")
    (one,) = told(home)
    assert one["helpers"][0]["unanswered"] == 2
    assert one["helpers"][0]["unanswered-seconds"] > 0
    one["helpers"][0]["unanswered-seconds"] = 2.9
    assert "neither" not in "\n".join(status_tool.lines(one, lambda _, text: text))
    one["helpers"][0]["unanswered-seconds"] = 61.0
    assert "      2 opens neither ready nor closed, for up to 1m1s" in status_tool.lines(one, lambda _, text: text)


def test_a_rule_that_fails(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [exit_with(1)]), limits={"backoff_seconds": 1_000})
    for number in range(3):
        bridge.front_end.open(str(number))
        bridge.front_end.expect("close", str(number), problem="not-supported")
    (one,) = told(home)
    rule = one["rules"]["test/bridges[0]"]
    assert (rule["started"], rule["failed"]) == (3, 3)
    assert rule["rests"] > 0
    assert rule["last-end"]["problem"] == "terminated"
    (line,) = [line for line in status(home).stdout.splitlines() if line.startswith("  test/bridges[0]: ")]
    ended = r"terminated: test/bridges\[0\] \(.*\): exited with status 1"
    assert re.fullmatch(
        rf"  test/bridges\[0\]: 3 started, 3 failed, is not tried for \d+\.\d s; the last ended \d+s ago: {ended}", line
    )


def test_a_helper_that_has_ended(start: Start, home: Home) -> None:
    """It is told of as long as the bridge runs."""
    bridge = start(helper_rule({"payload": "test"}, [init(), read("open"), ready(), exit_with(3)]))
    bridge.front_end.open("a")
    bridge.front_end.expect("close", "a", problem="terminated")
    (line,) = [line for line in status(home).stdout.splitlines() if line.startswith("  test/bridges[0]: ")]
    assert line.startswith("  test/bridges[0]: 1 started; the last ended ")
    assert "exited with status 3" in line


def test_before_a_front_end_has_spoken(start: Start, home: Home) -> None:
    bridge = start(handshake=False)
    hello = encode_control({"command": "init", "version": 1, "host": "there"})
    bridge.front_end.write_apart([hello[:1], hello[1:2]])  # it has read the first: it can be asked
    (one,) = told(home)
    assert one["host"] is None
    assert status(home).stdout.splitlines()[0].endswith("s, host -: no front end yet")
    bridge.front_end.write(hello[2:])
    bridge.front_end.sync()
    assert told(home)[0]["host"] == "there"


def example() -> dict[str, Any]:
    """What a bridge may tell."""
    end = {"problem": "terminated", "message": "x: its last words on stderr: \x1b[2J" + "y" * 500, "seconds": 12.3}
    return {
        "pid": 7,
        "seconds": 100.0,
        "host": None,
        "channels": {"open": 1, "waiting": 0, "internal": {}},
        "front-end": {"bytes-in": 1, "bytes-out": 2, "queued": 0, "read": True, "takes": True},
        "helpers": [],
        "rules": {"x": {"started": 3, "failed": 3, "rests": 0.0, "last-end": end}},
        "limits-hit": {},
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("colour", ["", "1"], ids=["coloured", "plain"])
def test_lines_are_as_long_as_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], colour: str
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", colour)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(status_tool, "statuses", lambda *_: [example()])
    whole = "  x: 3 started, 3 failed; the last ended 12s ago: terminated: x: its last words on stderr: \\x1b[2Jyyy"
    terminal = Terminal()
    with redirect_stdout(terminal):
        assert status_tool.main([]) == 0
    last = terminal.getvalue().splitlines()[-1]
    assert ("\33" in last) == (not colour)
    assert re.sub("\33\\[\\d+m", "", last) == whole[:60]
    assert status_tool.main([]) == 0
    piped = capsys.readouterr().out.splitlines()[-1]
    assert piped.startswith(whole)
    assert piped.endswith("y" * 500)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--watch", "--interval", "soon"], "--interval: 'soon': expected a number of seconds, 0.1 to 86400"),
        (["--watch", "--interval", "0"], "--interval: '0': expected a number of seconds, 0.1 to 86400"),
        (["--interval", "3"], "--interval: expected --watch too"),
        (["--watch=3"], "--watch: ignored explicit argument '3'"),
    ],
)
def test_what_makes_no_sense(home: Home, arguments: list[str], said: str) -> None:
    done = status(home, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_several_bridges_and_one_of_them(start: Start, home: Home) -> None:
    one, two = start(), start()
    one.front_end.sync()
    two.front_end.sync()
    assert {each["pid"] for each in told(home)} == {one.pid, two.pid}
    assert [each["pid"] for each in json.loads(status(home, "--json", str(two.pid)).stdout)] == [two.pid]
    one.end()
    assert [each["pid"] for each in told(home)] == [two.pid]


def test_nobody_else_may_ask(start: Start, home: Home) -> None:
    bridge = start()
    bridge.front_end.sync()
    path = socket_of(bridge, home)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    bridge.end()
    assert not os.path.exists(path)


def test_a_bridge_that_was_killed_leaves_nothing_for_long(start: Start, home: Home) -> None:
    bridge = start()
    bridge.front_end.sync()
    path = socket_of(bridge, home)
    bridge.signal(signal.SIGKILL)
    bridge.wait()
    assert os.path.exists(path)
    assert told(home) == []
    assert not os.path.exists(path)


def test_a_name_belongs_to_one_bridge(start: Start, home: Home) -> None:
    """The same number may be that of another process, in a container that shares the directory."""
    bridge = start()
    bridge.front_end.sync()
    directory = home.runtime / "spanbridge"
    name = f"{bridge.pid}-0.sock"
    (directory / name).touch()
    bridge.end()
    assert os.listdir(directory) == [name]


def test_a_link_is_no_directory(start: Start, home: Home) -> None:
    victim = home.root / "victim"
    victim.mkdir(mode=0o700)
    (home.runtime / "spanbridge").symlink_to(victim)
    bridge = start()
    bridge.front_end.sync()
    (victim / f"{bridge.pid}-0.sock").write_text("precious")
    assert os.listdir(victim) == [f"{bridge.pid}-0.sock"]
    done = status(home)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Not a directory" in done.stderr
    bridge.end()
    assert (victim / f"{bridge.pid}-0.sock").read_text() == "precious"


def test_only_sockets_are_removed(start: Start, home: Home) -> None:
    start().front_end.sync()
    file = home.runtime / "spanbridge" / "1-0.sock"
    file.write_text("precious")
    assert len(told(home)) == 1
    assert file.exists()


def test_what_no_bridge_tells(start: Start, home: Home) -> None:
    """Nor one of this version: that is said, and the others are told of."""
    start().front_end.sync()
    directory = home.runtime / "spanbridge"
    answers = [b"{}", b'{"seconds": 1}', b'{"seconds": "x", "pid": 1}', b'{"a": ' + b"[" * 100_000, b"[]"]
    threads = []
    for number, answer in enumerate(answers):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(directory / f"1-{number}.sock"))
        listening.listen()
        threads.append(threading.Thread(target=_answer_once, args=(listening, answer)))
        threads[-1].start()
    done = status(home)
    for thread in threads:
        thread.join()
    assert done.returncode == 0
    assert done.stdout.count("bridge ") == 1
    assert len(done.stderr.splitlines()) == len(answers)


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    with listening, listening.accept()[0] as connection, suppress(OSError):
        connection.sendall(answer)


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("inner", [False, True])
def test_a_directory_that_others_may_change_is_not_used(start: Start, home: Home, mode: int, inner: bool) -> None:
    directory = home.runtime / "spanbridge" if inner else home.runtime
    directory.mkdir(exist_ok=True)
    directory.chmod(mode)
    start().front_end.sync()
    assert [path for path in home.runtime.rglob("*") if path.is_socket()] == []
    done = status(home)
    assert done.returncode == 2
    assert "others may write to it" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have a directory of somebody else")
def test_a_directory_of_somebody_else_is_not_used(start: Start, home: Home) -> None:
    """`su` keeps XDG_RUNTIME_DIR."""
    os.chown(home.runtime, 65534, 65534)
    start().front_end.sync()
    assert os.listdir(home.runtime) == []
    done = status(home)
    assert done.returncode == 2
    assert "belongs to another user" in done.stderr


def test_without_unix_sockets(home: Home) -> None:
    """As in a sandbox that has none."""
    code = (
        "import sys, types, spanbridge.session.status_socket as module;"
        "module.socket = types.SimpleNamespace(AF_UNIX=1, SOCK_STREAM=1, socket=lambda *_: open('/nonexistent'));"
        "from spanbridge.__main__ import main; sys.exit(main())"
    )
    with Bridge(home, command=[sys.executable, "-I", "-c", code]) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        bridge.front_end.sync()


def test_no_bridge_runs(home: Home) -> None:
    done = status(home)
    assert (done.returncode, done.stdout) == (1, "No bridge of this user runs.\n")


@pytest.mark.parametrize("value", ["", "relative"])
def test_no_runtime_directory(start: Start, home: Home, value: str) -> None:
    """The bridge does without, and the tool says so."""
    done = status(home, XDG_RUNTIME_DIR=value)
    assert done.returncode == 2
    assert "XDG_RUNTIME_DIR" in done.stderr
    assert f"/run/user/{os.getuid()}" in done.stderr
    home.runtime.rmdir()
    bridge = start()
    bridge.front_end.sync()
    assert bridge.end() == 0


def test_one_that_does_not_read_what_it_asked_for(start: Start, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge goes on, and hangs up after a while."""
    import socket

    bridge = start(limits={"status_seconds": 0.2})
    bridge.front_end.sync()
    with socket.socket(socket.AF_UNIX) as asking:
        monkeypatch.chdir(home.runtime / "spanbridge")
        asking.connect(os.path.basename(socket_of(bridge, home)))
        bridge.front_end.sync()
        assert bridge.end() == 0


def test_watch_goes_on_until_interrupted(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]))
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    with subprocess.Popen(
        [str(SPANBRIDGE), "status", "--watch", "--interval", "0.1", str(bridge.pid)],
        env=home.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = 0
        while seen < 3:
            seen += process.stdout.readline().startswith(f"bridge {bridge.pid}")
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 0


def test_paths_that_are_no_text(tmp_path: Path) -> None:
    home = Home(tmp_path / os.fsdecode(b"h\xffme"))
    home.package(
        "test", helper_rule({"payload": "test"}, [init(), serve({"open": [send("ready", channel="$channel")]})])
    )
    with Bridge(home) as bridge:
        front = bridge.front_end
        front.expect("init")
        front.init()
        front.open("a")
        front.expect("ready", "a")
        (one,) = told(home)
        assert "h\\udcffme" in one["helpers"][0]["source"]
        front.sync()


def test_how_helpers_ended_is_remembered(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [stderr("no such disk"), exit_with(1)]))
    bridge.front_end.open("a")
    bridge.front_end.expect("close", "a", problem="not-supported")
    (one,) = told(home)
    rule = one["rules"]["test/bridges[0]"]
    assert (rule["started"], rule["failed"]) == (1, 1)
    assert rule["last-end"]["problem"] == "terminated"
    assert "no such disk" in rule["last-end"]["message"]
