"""`spanbridge open`: one channel, from stdin to stdout."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import JOURNAL, MARK, SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import encode
from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.script import (
    answer,
    data,
    echo,
    exit_with,
    forever,
    helper_rule,
    ignore,
    init,
    note,
    note_message,
    on_signal,
    raw,
    read,
    send,
    serve,
    stderr,
    wait,
)
from spanbridge.testing.tail import Tail

from .conversation import ECHO, helper, run
from .pseudo_terminal import PseudoTerminal

EXAMPLE = Path(__file__).parents[2] / "examples" / "helpers" / "example_helper.py"
DEEP = encode("", b'{"command":"x","a":%b}' % (b"[" * 850 + b"]" * 850))
CLOSE = send("close", channel="$channel")


@pytest.fixture
def journal(home: Home) -> Iterator[Tail]:
    """What fake helpers note; when the test is over, all of them are gone."""
    yield Tail(home.root / "journal")
    left = processes.wait_ended(processes.marked(f"{MARK}={home.root}"))
    processes.kill(left)
    assert not left


def marked(home: Home) -> dict[str, str]:
    return {**home.environ, MARK: str(home.root), JOURNAL: str(home.root / "journal")}


# What goes in and out


def test_what_is_sent_back_is_written_as_it_came(home: Home) -> None:
    done = run(home, "open", "echo", stdin=b"one\ntwo")
    assert (done.returncode, done.stdout) == (0, b"one\ntwo")
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("<")]
    assert lines == ["< ready", "< done", "< close"]


def test_any_bytes_on_a_binary_channel(home: Home) -> None:
    sent = os.urandom(3_000_000)
    done = run(home, "open", "echo", "--binary", stdin=sent)
    assert done.returncode == 0
    assert done.stdout == sent


def test_bytes_that_are_no_text_on_a_text_channel_are_refused(home: Home) -> None:
    done = run(home, "open", "echo", stdin=b"\xff\xff")
    assert done.returncode == 1
    assert b"the channel was closed: protocol-error: " in done.stderr


@pytest.mark.parametrize("character", ["é", "€", "𝄞"])
def test_a_character_is_never_split(home: Home, character: str) -> None:
    sent = f"x{character * 100_000}".encode()
    done = run(home, "open", "echo", stdin=sent)
    assert (done.returncode, done.stdout) == (0, sent)


def test_a_frame_for_each_line(home: Home) -> None:
    marks = helper([init(), serve({"data": [echo(), data("$channel", b"|")], "done": [CLOSE]})])
    assert run(home, "open", "x", "--bridge", marks, "--lines", stdin=b"a\n\nb").stdout == b"a||b|"
    assert run(home, "open", "x", "--bridge", marks, "--lines", "--newline", stdin=b"a\n\nb").stdout == b"a\n|\n|b|"


def test_members_are_json_or_text(home: Home) -> None:
    arguments = ("open", "x", "text=a b", "number=5", 'list=["a",1]', "--bridge", helper(ECHO), "--binary")
    told = run(home, *arguments).stderr.decode()
    for expected in ('"payload":"x"', '"text":"a b"', '"number":5', '"list":["a",1]', '"binary":"raw"'):
        assert expected in told


def test_a_rule_of_a_package(home: Home) -> None:
    home.package("test", {"match": {"payload": "example"}, "spawn": [str(EXAMPLE), "--tag", "${tag}"]})
    done = run(home, "open", "example", "tag=blue", stdin=b"hello")
    assert done.returncode == 0
    assert done.stdout.endswith(b"blue: hello")


def test_a_helper_without_a_bridge(home: Home) -> None:
    done = run(home, "open", "anything", "--bridge", f"{EXAMPLE} --tag 'a b'", stdin=b"hello")
    assert done.returncode == 0
    assert done.stdout.endswith(b"a b: hello")


def test_a_ping_is_answered(home: Home, journal: Tail) -> None:
    asks = [answer(), send("ping", channel="$channel", sequence=7), read("pong"), note_message(), CLOSE]
    done = run(home, "open", "x", "--bridge", helper([init(), serve({"open": asks})]), environ=marked(home))
    assert done.returncode == 0
    assert journal.matches(r'\\"sequence\\": 7')


def test_memory_is_bounded_whoever_is_slow(home: Home) -> None:
    size = 96 << 20
    source = home.root / "source"
    with source.open("wb") as file:
        file.truncate(size)
    with source.open("rb") as file:
        process = subprocess.Popen(
            [SPANBRIDGE, "open", "echo"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=home.environ,
        )
    assert process.stdout is not None
    with process, process.stdout:
        read = peak = 0
        while chunk := os.read(process.stdout.fileno(), 8_192):
            read += len(chunk)
            if read > size // 2 and not peak:
                peak = processes.peak_bytes(process.pid)
        assert process.wait(SECONDS) == 0
    assert read == size
    assert 0 < peak < 60_000_000


def test_half_a_character_is_told_as_it_was_written(home: Home) -> None:
    said = b'{"command":"close","channel":"1","x":"\\ud801"}'
    steps = [init(), read("open"), raw(encode("", said))]
    done = run(home, "open", "-v", '{"payload": "x", "y": "\\ud800"}', "--bridge", helper(steps))
    assert done.returncode == 0
    assert b'"y":"\\ud800"' in done.stderr
    assert b'< close {"x":"\\ud801"}' in done.stderr


@pytest.mark.parametrize(
    ("options", "superuser", "asked"),
    [
        ([], "false", False),
        (["--superuser"], '{"id":"any"}', True),
        (["--superuser=sudo"], '{"id":"sudo"}', True),
    ],
)
def test_privileges(home: Home, options: list[str], superuser: str, asked: bool) -> None:
    steps = [init(), read("open"), send("ready", channel="1"), send("close", channel="1")]
    done = run(home, "open", "-v", *options, "x", "--host", "away", "--bridge", helper(steps))
    assert done.returncode == 0
    told = done.stderr.decode()
    assert f'> init {{"version":1,"host":"away","superuser":{superuser}}}\n' in told
    assert ('"superuser":"require"' in told) == asked
    assert '"superuser":"try"' in run(home, "open", "-v", *options, "x", "superuser=try").stderr.decode()


# The end


def test_nobody_serves_it(home: Home) -> None:
    done = run(home, "open", "nonesuch")
    assert done.returncode == 1
    assert b"the channel was closed: not-supported: nobody serves payload 'nonesuch'" in done.stderr


def test_a_problem_of_the_helper(home: Home) -> None:
    gives_up = helper(
        [init(), serve({"open": [send("close", channel="$channel", problem="not-found", message="no!")]})]
    )
    done = run(home, "open", "x", "--bridge", gives_up)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "spanbridge open: the channel was closed: not-found: no!"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([exit_with(3)], "the bridge has ended before the channel was closed: it exited with status 3"),
        ([init(), exit_with(0)], "the bridge has ended before the channel was closed: it exited with status 0"),
        ([raw(b"Hello!\n")], "the bridge sent something else than frames: expected a frame length"),
        ([raw(b"4\n\n[1]")], "the bridge broke the protocol: "),
        ([init(), raw(DEEP), exit_with(3)], "the bridge "),
        ([init(problem="access-denied", message="Go.")], "the bridge gave up: access-denied: Go."),
        ([init(version=2), forever()], "the bridge speaks version 2 of the protocol, expected 1"),
    ],
)
def test_a_bridge_that_does_not_work(home: Home, steps: list[list[object]], told: str) -> None:
    done = run(home, "open", "x", "--bridge", helper(steps))
    assert done.returncode == 1
    assert told in done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([forever()], "the init of the bridge"),
        ([init(), forever()], "an answer to the open"),
        ([init(), serve({"done": []})], "the channel to be closed after the end of stdin"),
    ],
)
def test_a_timeout(home: Home, steps: list[list[object]], what: str, journal: Tail) -> None:
    done = run(home, "open", "x", "--bridge", helper(steps), "--timeout", "0.5", environ=marked(home))
    assert done.returncode == 1
    assert f"spanbridge open: timed out waiting for {what}" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "the following arguments are required: PAYLOAD\n"),
        (["echo", "member"], "member: expected name=value"),
        (["echo", "command=close"], "command"),
        (["\udcff"], "\\udcff: expected UTF-8"),
        (["echo", "--host", "\udcff"], "\\udcff: expected UTF-8"),
        (["echo", "--bridge", "'"], "--bridge ': No closing quotation"),
        (["echo", "--bridge", ""], "--bridge: expected a command"),
        (["echo", "--timeout", "soon"], "'soon': expected a number of seconds above 0"),
        (["echo", "--bridge", "/nonexistent/bridge"], "/nonexistent/bridge: No such file or directory"),
    ],
)
def test_what_cannot_be_tried(home: Home, arguments: list[str], told: str) -> None:
    done = run(home, "open", *arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert told in done.stderr.decode()


def test_whoever_reads_stdout_has_gone(home: Home) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [SPANBRIDGE, "open", "echo"],
            input=b"hello",
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=home.environ,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == b"spanbridge open: stdout: nobody reads it any more"


def test_whoever_reads_stdout_goes_while_nothing_comes(home: Home, journal: Tail) -> None:
    speaks = helper([init(), serve({"open": [answer(), data("$channel", b"!")], "close": [note("close"), answer()]})])
    with subprocess.Popen(
        [SPANBRIDGE, "open", "x", "--bridge", speaks],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=marked(home),
        cwd=home.root,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"!"
        process.stdout.close()
        assert process.stderr.read().endswith(b"\nspanbridge open: stdout: nobody reads it any more\n")
        assert process.wait(SECONDS) == 1
    assert journal.matches('"close"')


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_nobody_hears_what_is_told(home: Home, stderr: str) -> None:
    script = f"exec {SPANBRIDGE} open echo {stderr}"
    done = subprocess.run(["sh", "-c", script], input=b"hello", stdout=subprocess.PIPE, env=home.environ, check=False)
    assert (done.returncode, done.stdout) == (0, b"hello")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_channel(home: Home, journal: Tail, number: signal.Signals) -> None:
    home.package(
        "test",
        helper_rule(
            {"payload": "x"}, [init(), serve({"open": [answer(), note("open")], "close": [note("close"), answer()]})]
        ),
    )
    with subprocess.Popen(
        [SPANBRIDGE, "open", "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=marked(home), cwd=home.root
    ) as process:
        journal.wait('"open"')
        process.send_signal(number)
        assert process.wait(SECONDS) == 128 + number
    assert journal.matches('"close"')


def test_whoever_does_not_end_is_ended_at_the_third_signal(home: Home, journal: Tail) -> None:
    stuck = [
        ignore(signal.SIGHUP),
        on_signal(signal.SIGTERM, [note("term")]),
        init(),
        read("open"),
        note("open"),
        read("close"),
        note("close"),
        forever(),
    ]
    with subprocess.Popen(
        [SPANBRIDGE, "open", "x", "--bridge", helper(stuck)], stdin=subprocess.PIPE, env=marked(home), cwd=home.root
    ) as process:
        journal.wait('"open"')
        process.send_signal(signal.SIGINT)
        journal.wait('"close"')
        process.send_signal(signal.SIGINT)
        journal.wait('"term"')
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT


# Questions

ASKS = [
    init(),
    read("open"),
    send("authorize", cookie="c", challenge="plain1:6a6f65"),
    read("authorize"),
    note_message(),
    send("ready", channel="1"),
    send("close", channel="1"),
]


def test_a_question_without_a_terminal_is_refused(home: Home, journal: Tail) -> None:
    done = run(home, "open", "x", "--bridge", helper(ASKS), environ=marked(home))
    assert done.returncode == 0
    assert b"no answer given: Password for joe:" in done.stderr
    assert journal.matches(r'\\"response\\": \\"\\"')


def test_a_question_is_asked_without_echo(home: Home, journal: Tail) -> None:
    command = [str(SPANBRIDGE), "open", "x", "-v", "--bridge", helper(ASKS)]
    with PseudoTerminal(command, marked(home), home.root) as terminal:
        terminal.wait_shown("Password for joe: ")
        assert not terminal.echo
        terminal.type(b"hunter2\r")
        assert terminal.wait() == 0
        assert terminal.as_before
        assert "hunter2" not in terminal.text
    assert journal.matches("hunter2")


def test_a_question_is_given_up_by_ctrl_c(home: Home, journal: Tail) -> None:
    command = [str(SPANBRIDGE), "open", "x", "--bridge", helper(ASKS)]
    with PseudoTerminal(command, marked(home), home.root) as terminal:
        terminal.wait_shown("Password for joe: ")
        terminal.type(b"hunt\x03")
        assert terminal.wait() == 130
        assert terminal.as_before


# On a terminal


def shown(terminal: PseudoTerminal) -> str:
    """Without the line that tells of a bridge which takes its time to end."""
    return re.sub(r"\rwaiting for the bridge to end, .*\r\n", "", terminal.text)


@pytest.fixture
def editing(home: Home) -> dict[str, str]:
    return marked(home)


def test_lines_are_edited_and_remembered(home: Home, editing: dict[str, str]) -> None:
    with PseudoTerminal([SPANBRIDGE, "open", "echo"], editing, home.root) as terminal:
        terminal.wait_shown("> ")
        terminal.type(b"helo\x1b[Dl\r")
        terminal.wait_shown("\rhello\r\n> ", 1)
        terminal.type(b"\x1b[A\r")
        terminal.wait_shown("\rhello\r\n> ", 2)
        terminal.type(b"\x04")
        assert terminal.wait() == 0
        assert terminal.as_before
        assert shown(terminal).endswith("< done\r\n\r< close\r\n")


@pytest.mark.parametrize(
    ("typed", "last"), [(b"", "\n> \r"), (b"half a line", "\n> half a line\r\n")], ids=["nothing", "some of it"]
)
def test_ctrl_c_leaves_the_next_prompt_a_line_of_its_own(
    home: Home, editing: dict[str, str], typed: bytes, last: str
) -> None:
    with PseudoTerminal([SPANBRIDGE, "open", "echo"], editing, home.root) as terminal:
        terminal.wait_shown("> ")
        terminal.type(typed)
        terminal.wait_shown(f"> {typed.decode()}")
        terminal.type(b"\x03")
        assert terminal.wait() == 130
        assert terminal.as_before
        assert shown(terminal).endswith(last)


LEFT_AT_ONCE = """
import builtins, signal, threading
from spanbridge.operator.talking.line_editor import on_terminal

begun, read = threading.Event(), builtins.input

def input_that_tells(prompt):
    begun.set()
    return read(prompt)

builtins.input = input_that_tells
with on_terminal() as editor:
    editor.ask()
    begun.wait()
print("left", flush=True)
signal.pause()
"""


def test_a_terminal_is_restored_after_readline_has_set_it(home: Home, editing: dict[str, str]) -> None:
    with PseudoTerminal([sys.executable, "-c", LEFT_AT_ONCE], editing, home.root) as terminal:
        terminal.wait_shown("> ")
        terminal.wait_shown("left")
        assert terminal.as_before


def test_a_bridge_that_does_not_end_is_waited_for_aloud(home: Home, journal: Tail, editing: dict[str, str]) -> None:
    argv = [str(SPANBRIDGE), "open", "x", "--bridge", helper([note("up"), forever()])]
    with PseudoTerminal(argv, editing, home.root) as terminal:
        journal.wait('"up"')
        terminal.type(b"\x03")
        terminal.wait_shown("waiting for the bridge to end, at most 6 s; another Ctrl-C ends it")
        terminal.type(b"\x03")
        assert terminal.wait() == 130


def test_what_comes_does_not_garble_the_line(
    home: Home, journal: Tail, gate: Callable[[], Gate], editing: dict[str, str]
) -> None:
    moment = gate()
    speaks = [init(), serve({"open": [answer(), wait(moment), stderr("a word"), data("$channel", b"news")]})]
    argv = [str(SPANBRIDGE), "open", "x", "--bridge", helper(speaks)]
    with PseudoTerminal(argv, editing, home.root) as terminal:
        terminal.wait_shown("> ")
        terminal.type(b"half a line")
        terminal.wait_shown("> half a line")
        moment.release()
        terminal.wait_shown("\rbridge: a word\r\n> half a line")
        terminal.wait_shown("\rnews\r\n> half a line")
        terminal.type(b"!\r")
        terminal.wait_shown("\rhalf a line!\r\n")
        terminal.type(b"\x03")
        assert terminal.wait() == 130
        assert terminal.as_before


def test_a_question_while_a_line_is_edited(home: Home, journal: Tail, editing: dict[str, str]) -> None:
    asks = [send("authorize", cookie="c", challenge="x", prompt="Which? "), read("authorize"), note_message()]
    asks.append(send("close", channel="1"))
    argv = [str(SPANBRIDGE), "open", "x", "--bridge", helper([init(), serve({"data": asks})])]
    with PseudoTerminal(argv, editing, home.root) as terminal:
        terminal.wait_shown("> ")
        terminal.type(b"go\r")
        terminal.wait_shown("a question: press Enter to be asked\r\n> ")
        terminal.type(b"\r")
        terminal.wait_shown("^Which\\? ")
        assert not terminal.echo
        terminal.type(b"hunter2\r")
        assert terminal.wait() == 0
        assert "hunter2" not in terminal.text
    assert journal.matches("hunter2")


def test_what_would_move_the_cursor_is_escaped_unless_it_is_wanted(home: Home) -> None:
    speaks = helper([init(), serve({"open": [answer(), data("$channel", b"\x1b[2J!"), CLOSE]})])
    with PseudoTerminal([SPANBRIDGE, "open", "x", "--bridge", speaks], home.environ, home.root) as terminal:
        assert terminal.wait() == 0
        assert b"\x1b[2J" not in terminal.shown
        assert "\\x1b[2J!\r\n" in terminal.text
    with PseudoTerminal([SPANBRIDGE, "open", "x", "--raw", "--bridge", speaks], home.environ, home.root) as terminal:
        assert terminal.wait() == 0
        assert b"\x1b[2J!" in terminal.shown


@pytest.mark.parametrize(
    "arguments",
    [
        ['{"payload": "echo"}'],
        ['{"payload": "nonesuch", "x": 1}', "payload=echo"],
        ["--binary", ' {"payload":"echo"}'],
    ],
)
def test_the_json_of_an_open(home: Home, arguments: list[str]) -> None:
    done = run(home, "open", *arguments, stdin=b"hello")
    assert (done.returncode, done.stdout) == (0, b"hello")


def test_the_json_of_no_open(home: Home) -> None:
    done = run(home, "open", '{"a": 1}')
    assert done.returncode == 2
    assert b'{"a": 1}: expected a payload in it' in done.stderr


def test_an_open_that_is_not_answered_shows(home: Home) -> None:
    home.package("test", helper_rule({"payload": "test"}, [init(), forever()]))
    with subprocess.Popen(
        [SPANBRIDGE, "open", "test"], env=home.environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        while "session-begins" in line or "helper-" in line:
            line = process.stderr.readline()
        assert line == "no answer to the open for 3 s; still waiting\n"
        process.terminate()
