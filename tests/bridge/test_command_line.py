"""The command `spanbridge`: its options, its settings, and what it is given for stdin and stdout."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import Decoder, encode_control
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

from ..missing import lack

INIT = encode_control({"command": "init", "version": 1, "host": "localhost"})
PING = encode_control({"command": "ping"})

# what docs/protocol.md and docs/manifests.md state
DOCUMENTED = {
    "helper_queue_bytes": "16777216",
    "front_queue_bytes": "16777216",
    "stuck_seconds": "30.0",
    "handshake_seconds": "30.0",
    "close_answer_seconds": "2.0",
    "exit_seconds": "2.0",
    "term_seconds": "2.0",
    "helpers_per_rule": "64",
    "helpers": "256",
    "start_failures": "3",
    "start_failures_seconds": "10.0",
    "backoff_seconds": "1.0",
    "backoff_most_seconds": "30.0",
}


def run(
    home: Home,
    *arguments: str,
    environ: dict[str, str] | None = None,
    stdin: bytes | IO[bytes] | int = b"",
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    process = subprocess.Popen(
        [SPANBRIDGE, *arguments],
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**home.environ, **(environ or {})},
        cwd=home.root,
    )
    with process:
        out, err = process.communicate(stdin if isinstance(stdin, bytes) else None, timeout=SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def limits_in(text: bytes) -> dict[str, str]:
    """Names and defaults of the limits that --help lists."""
    return dict(re.findall(r"^ +([a-z_]+)=(\S*) +\S", text.decode(), re.MULTILINE))


# Options


def test_version(home: Home) -> None:
    done = run(home, "--version")
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode()
    assert re.search(r"^spanbridge \d+\.\d+", text, re.MULTILINE)
    assert re.search(r"^protocol 1$", text, re.MULTILINE)
    assert re.search(r"^generation \d+(\.\d+)*$", text, re.MULTILINE)


def test_help_lists_every_option_and_limit(home: Home) -> None:
    done = run(home, "--help")
    assert done.returncode == 0
    assert run(home, "-h").stdout == done.stdout
    for option in ("--packages", "--bridges", "--version", "--debug", "--set", "SPANBRIDGE_"):
        assert option in done.stdout.decode()
    limits = limits_in(done.stdout)
    assert {name: limits.get(name) for name in DOCUMENTED} == DOCUMENTED
    unknown = run(home, "--set", "no_such_limit=1").stderr.decode()
    assert "no_such_limit=1: expected NAME=VALUE" in unknown
    assert "did you mean helpers?" in run(home, "--set", "helper=1").stderr.decode()


def test_packages(home: Home) -> None:
    home.package("one", menu={"index": {"label": "First page"}, "more": {"label": "More"}})
    home.package("two", name="renamed")
    home.package("unmet", requires={"cockpit": "99999"})
    home.write_manifest("broken", "{")
    done = run(home, "--packages")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert [re.split(r"[:\t ]", line)[0] for line in lines] == ["one", "renamed"]
    assert "First page" in lines[0]
    assert str(home.data_home / "cockpit" / "one") in lines[0]


def test_a_label_stays_in_its_line(home: Home) -> None:
    directory = home.package("one", menu={"index": {"label": "\u00fc\ttwo\nlines \x1b[31m"}})
    assert run(home, "--packages").stdout.decode() == f"one: \u00fc\\ttwo\\nlines \\x1b[31m\t{directory}\n"


def test_bridges_is_json(home: Home) -> None:
    """In the order in which they are tried, each as it stands in its manifest."""
    full = {
        "match": {"payload": "x", "a": None, "b": [1, {"c": 2}], "d": 1.5},
        "spawn": ["/bin/true", "${a}", "\\${a}"],
        "environ": ["A=${a}"],
        "directory": "/tmp/${a}",
        "problem": "access-denied",
        "timeout": 2.5,
    }
    privileged = {"privileged": True, "spawn": ["sudo", "-n", "x"], "label": "Sudo"}
    home.package("low", helper_rule({}, []), priority=0)
    home.package("high", full, privileged, priority=5)
    done = run(home, "--bridges")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    # Our own rule stands behind all others, and behind that what leads to other hosts.
    assert [entry["package"] for entry in found if not entry.get("privileged")] == ["high", "low", "spanbridge", "ssh"]
    members = {name: value for name, value in found[0].items() if name in full}
    assert members == full
    assert found[1]["match"] == {}
    (superuser,) = [entry for entry in found if entry.get("privileged")]
    assert {name: superuser[name] for name in privileged} == privileged


def test_no_packages_at_all(home: Home) -> None:
    assert run(home, "--packages").stdout == b""
    own, hosts = json.loads(run(home, "--bridges").stdout)
    assert (own["source"], own["match"]) == ("built in", {"internal": "extensions"})
    assert (hosts["source"], hosts["match"], hosts["spawn"]) == ("built in", {"host": None}, ["ssh"])
    (own,) = json.loads(run(home, "--set", "hosts=0", "--bridges").stdout)


def test_a_reader_that_goes_away(home: Home) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as file:
        done = run(home, "--help", stdout=file)
    assert done.stderr == b""


# Settings

BAD = {
    "--no-such-option": ["--no-such-option"],
    "an argument": ["extra"],
    "two commands": ["--packages", "--version"],
    "--set": ["--set"],
    "--set without a value": ["--set", "helpers"],
    "--set=": ["--set="],
    "--set of no limit": ["--set", "no_such_limit=1"],
    "--set of text": ["--set", "helpers=many"],
    "--set of nothing": ["--set", "helpers="],
    "a tool behind a command": ["--packages", "check"],
    "a tool behind an option": ["--debug", "check"],
    "--set of zero": ["--set", "helpers=0"],
    "--set of a negative number": ["--set", "helpers=-1"],
    "--set of a fraction": ["--set", "helpers=1.5"],
    "--set of nan": ["--set", "stuck_seconds=nan"],
    "--set of infinity": ["--set", "stuck_seconds=inf"],
    "--debug of no part": ["--debug=nonsense"],
    "one good and one bad": ["--set", "helpers=5", "--set", "channels=x"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_refused(home: Home, case: str) -> None:
    """Exit status 2, a line that says what is wrong, nothing on stdout."""
    arguments = BAD[case]
    done = run(home, *arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stdout == b""
    text = done.stderr.decode()
    assert "Traceback" not in text
    assert arguments[-1].strip("=") in text
    assert "--help" in text


def test_help_of_a_tool(home: Home) -> None:
    asked = run(home, "check", "--help")
    assert asked.returncode == 0
    for option in ("--help", "-h"):
        assert run(home, option, "check").stdout == asked.stdout


def test_a_variable_that_is_empty_is_not_set(start: Start) -> None:
    front = start(environ={"SPANBRIDGE_HELPERS": ""}).front_end
    front.open("a", "echo")
    front.expect("ready", "a")


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ((), {"SPANBRIDGE_HELPERS": "x"}, "=x: expected a whole number above 0"),
        (("--set", "helpers=x"), {}, "=x: expected a whole number above 0"),
        ((), {"SPANBRIDGE_DEBUG": "x"}, "SPANBRIDGE_DEBUG=x: expected all, or parts of front, open"),
    ],
)
def test_a_front_end_is_told_of_a_bad_setting(
    start: Start, arguments: Sequence[str], environ: dict[str, str], expected: str
) -> None:
    bridge = start(arguments=arguments, environ=environ, handshake=False)
    told = bridge.front_end.expect("init", version=1, problem="internal-error")
    assert expected in told["message"]
    assert bridge.wait() == 2
    assert bridge.log.matches(expected)


def test_a_misspelt_variable_is_told(home: Home) -> None:
    slips = (
        "SPANBRIDGE_HELPRES",
        "SPANBRIDGE_helpers",
        "SPANBRIGDE_HELPERS",
        "SPAN_BRIDGE_HELPERS",
    )
    others = {"SPANBRIDGE_OF_SOMEBODY_ELSE": "1", "SPAN": "1", "SPANBRIDGE": "1", "SPANBRIDGE_": "1"}
    environ = {**dict.fromkeys(slips, "5"), "SPANBRIDGE_HANDSHAKE": "5", "SPANBRIDGE_RELOAD_ON_CHANGE": "yes", **others}
    told = run(home, environ=environ).stderr.decode().splitlines()
    assert sorted(line for line in told if line.startswith("spanbridge: ")) == sorted(
        [
            *(f"spanbridge: {name} means nothing; did you mean SPANBRIDGE_HELPERS?" for name in slips),
            "spanbridge: SPANBRIDGE_HANDSHAKE means nothing; did you mean SPANBRIDGE_HANDSHAKE_SECONDS?",
            "spanbridge: SPANBRIDGE_RELOAD_ON_CHANGE=yes means nothing; expected 1, or 0",
        ]
    )


@pytest.mark.parametrize("arguments", [("list",), ("check",), ("explain", "payload=x"), ("--bridges",), ("--help",)])
def test_a_tool_without_stdout_ends_without_a_traceback(home: Home, arguments: tuple[str, ...]) -> None:
    command = f"exec {SPANBRIDGE} {shlex.join(arguments)} >&-"
    done = subprocess.run(["sh", "-c", command], env=home.environ, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("list --help >/dev/full", 2, True),
        ("open --help >/dev/full", 2, True),
        ("open --help >/dev/full 2>/dev/full", 2, False),
        ("--help >/dev/full 2>/dev/full", 2, False),
        ("--bogus 2>/dev/full", 2, False),
        ("list --bogus 2>/dev/full", 2, False),
        ("check 2>/dev/full", 0, False),
    ],
)
def test_a_tool_whose_output_is_full(home: Home, command: str, status: int, told: bool) -> None:
    """What was done, and nothing of Python's own: 120 is the status of a stream that it could not write out."""
    done = subprocess.run(
        ["sh", "-c", f"exec {SPANBRIDGE} {command}"], env=home.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stderr == ("spanbridge: stdout: No space left on device\n" if told else "")


@pytest.mark.parametrize("command", ["list", "--help", "explain payload=echo"])
@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("ulimit -f 0; exec {} >file", "File too large"),
        ("exec {} 1</dev/null", "Bad file descriptor"),
    ],
)
def test_a_tool_whose_output_cannot_be_written(home: Home, where: str, why: str, command: str) -> None:
    line = where.format(f"{SPANBRIDGE} {command}")
    done = subprocess.run(
        ["sh", "-c", line], cwd=home.root, env=home.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"spanbridge: stdout: {why}\n")


def test_a_tool_whose_output_is_full_and_never_waits(home: Home) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    done = subprocess.run([SPANBRIDGE, "list"], env=home.environ, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(read)
    os.close(write)
    assert done.returncode == 2
    assert done.stderr == b"spanbridge: stdout: write could not complete without blocking\n"


@pytest.mark.parametrize(
    "arguments", [("list",), ("check",), ("explain", "payload=x"), ("--bridges",), ("--packages",)]
)
def test_a_path_that_is_not_utf_8(home: Home, arguments: tuple[str, ...]) -> None:
    data = os.fsencode(home.root) + b"/\xff"
    os.makedirs(data + b"/cockpit/test")
    with open(data + b"/cockpit/test/manifest.json", "w") as file:
        json.dump({"bridges": [helper_rule({"payload": "x"}, [])]}, file)
    environ = {**home.environ, "XDG_DATA_HOME": os.fsdecode(data)}
    done = subprocess.run([SPANBRIDGE, *arguments], env=environ, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("value", ["x", "0", "-5", "1.5", "1e3", "nan"])
def test_bad_variables_are_refused(home: Home, value: str) -> None:
    done = run(home, environ={"SPANBRIDGE_HELPERS": value}, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stdout == b""
    assert f"SPANBRIDGE_HELPERS={value}" in done.stderr.decode()


def test_every_limit_can_be_set_both_ways(home: Home) -> None:
    """And a value that is no number is refused by its name, both ways."""
    names = limits_in(run(home, "--help").stdout)
    settings = [part for name, default in names.items() for part in ("--set", f"{name}={default}")]
    assert run(home, *settings).returncode == 0
    variables = {f"SPANBRIDGE_{name.upper()}": default for name, default in names.items()}
    variables.pop("SPANBRIDGE_DEPTH", None)  # no setting: it counts the bridges that have started one another
    assert run(home, environ=variables).returncode == 0
    first = next(iter(names))
    assert first in run(home, "--set", f"{first}=x").stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "environ", "bound"),
    [
        (["--set", "channels=2"], {}, 2),
        (["--set=channels=2"], {}, 2),
        ([], {"SPANBRIDGE_CHANNELS": "2"}, 2),
        (["--set", "channels=3"], {"SPANBRIDGE_CHANNELS": "2"}, 3),
        (["--set", "channels=2", "--set", "channels=3"], {}, 3),
    ],
    ids=["--set", "--set=", "variable", "both", "twice"],
)
def test_a_setting_is_in_force(start: Start, arguments: Sequence[str], environ: dict[str, str], bound: int) -> None:
    """An option wins over a variable, a later option over an earlier one."""
    front = start(arguments=arguments, environ=environ).front_end
    for number in range(bound):
        front.open(str(number), "echo")
        front.expect("ready", str(number))
    front.open("more", "echo")
    assert str(bound) in front.expect("close", "more")["message"]


@pytest.mark.parametrize(("arguments", "environ"), [(["--debug"], {}), ([], {"SPANBRIDGE_DEBUG": "all"})], ids=str)
def test_debug_says_more(start: Start, arguments: Sequence[str], environ: dict[str, str]) -> None:
    """And never what a channel carries."""
    rule = helper_rule({"payload": "test"}, [init(), serve()])
    bridge = start(rule, arguments=arguments, environ=environ)
    front = bridge.front_end
    front.open("a")
    front.send("a", b"the secret")
    front.data("a", 10)
    front.control("no-such-command")
    front.sync()
    assert bridge.end() == 0
    assert bridge.log.matches("debug")
    assert not bridge.log.matches("the secret")


def test_debug_of_parts(start: Start) -> None:
    bridge = start(arguments=["--debug=front"])
    bridge.front_end.control("no-such-command")
    bridge.front_end.open("a", "nobody")
    bridge.front_end.expect("close", "a")
    assert bridge.end() == 0
    assert bridge.log.matches("debug.*part=front")
    assert not bridge.log.matches("part=open")


# Stdin and stdout


def test_on_a_terminal_it_says_what_it_is(home: Home) -> None:
    """And what to try, in a few lines, and ends."""
    master, slave = pty.openpty()
    try:
        done = run(home, stdin=slave)
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 0
    assert 3 < len(done.stdout.splitlines()) < 24
    assert b"--help" in done.stdout
    assert b"cockpit-ws" in done.stdout
    assert done.stderr == b""


def frames_of(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return [frame.message["command"] for frame in Decoder().feed(done.stdout)]


def test_stdin_is_a_file(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(INIT + PING * 3)
    with path.open("rb") as file:
        done = run(home, stdin=file)
    assert done.returncode == 0
    assert frames_of(done) == ["init", "pong", "pong", "pong"]


def test_stdin_is_dev_null(home: Home) -> None:
    done = run(home, stdin=subprocess.DEVNULL)
    assert frames_of(done) == ["init"]
    assert done.returncode == 0


def test_stdin_is_a_socket(home: Home) -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(INIT + PING)
        ours.shutdown(socket.SHUT_WR)
        done = run(home, stdin=theirs.fileno())
    assert frames_of(done) == ["init", "pong"]
    assert done.returncode == 0


def test_stdin_and_stdout_are_one_socket(home: Home) -> None:
    """As a session of a login manager has it."""
    import socket

    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            ours.sendall(INIT + PING)
            ours.shutdown(socket.SHUT_WR)
            done = run(home, stdin=theirs.fileno(), stdout=theirs.fileno())
        with ours.makefile("rb") as file:
            found = file.read()
    assert done.returncode == 0
    assert [frame.message["command"] for frame in Decoder().feed(found)] == ["init", "pong"]


def test_stdout_is_a_file(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "frames"
    with path.open("wb") as file:
        done = run(home, stdin=INIT + PING, stdout=file)
    assert done.returncode == 0
    assert [frame.message["command"] for frame in Decoder().feed(path.read_bytes())] == ["init", "pong"]


def test_stdout_is_full(home: Home) -> None:
    """A disk without room: the session ends, in words."""
    with open("/dev/full", "wb") as file:
        done = run(home, stdin=INIT, stdout=file)
    assert b"Traceback" not in done.stderr
    assert b"No space left" in done.stderr


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_descriptor_that_is_closed(home: Home, redirection: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" {redirection}', SPANBRIDGE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=home.environ,
        timeout=SECONDS,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr, done.stderr.decode()
    assert done.returncode in (0, 1)


def test_the_mode_of_a_shared_descriptor_is_put_back(home: Home) -> None:
    """Whoever shares our stdin finds it blocking, as it was."""
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        os.close(writer)
        assert run(home, stdin=file).returncode == 0
        assert os.get_blocking(file.fileno())


def test_an_interrupt_at_once(home: Home) -> None:
    """Ctrl-C before anything has begun: no traceback."""
    process = subprocess.Popen(
        [SPANBRIDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home.environ
    )
    with process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=SECONDS)
    assert b"Traceback" not in text
    assert process.returncode == 0


def test_without_proc_it_starts(home: Home) -> None:
    """Python has added LC_CTYPE, or whoever starts it has set it: nothing tells which."""
    covered = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    tried = subprocess.run([*covered, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        lack(f"no mounts of its own (root): {tried.stderr.strip()}")
    environ = {name: value for name, value in home.environ.items() if not name.startswith("LC_")}
    done = subprocess.run(
        [*covered, SPANBRIDGE], env={**environ, "LANG": "C"}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, b'"command":"init"' in done.stdout) == (0, True)
    assert b"Traceback" not in done.stderr
