"""What helpers write to stderr goes to the bridge's log (docs/protocol.md, "Helpers")."""

import os
import re

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import close_fd, exit_with, helper_rule, init, serve, stderr, stderr_raw

TEST = {"payload": "test"}


def test_each_line_is_tagged_with_the_helper_and_its_pid(start: Start) -> None:
    bridge = start(helper_rule(TEST, [stderr("before init"), init(), stderr("after init"), serve()]))
    bridge.front_end.open("a")
    pid = bridge.front_end.expect("ready", "a")["pid"]
    for text in ("before init", "after init"):
        (line,) = bridge.log.wait(text)
        assert "test/bridges[0]" in line
        assert str(pid) in line


def test_thousands_of_lines(start: Start) -> None:
    """None is lost or mixed with another, and channels go on meanwhile."""
    count = 5_000
    bridge = start(
        helper_rule(TEST, [init(), stderr("one says", count), serve()]),
        helper_rule({"payload": "other"}, [init(), stderr("two says", count), serve()]),
    )
    front = bridge.front_end
    front.open("a")
    front.open("b", "other")
    for channel in ("a", "b"):
        front.expect("ready", channel)
        front.send(channel, b"hello")
        assert front.data(channel, 5) == b"hello"
    for who in ("one", "two"):
        lines = bridge.log.wait(f"{who} says", count)
        assert [int(line.rpartition(" ")[2].strip('"')) for line in lines] == list(range(1, count + 1))


def test_a_line_without_an_end_and_a_very_long_one(start: Start) -> None:
    long = "long " * 20_000
    steps = [init(), stderr(long), stderr_raw(b"no line feed"), exit_with(1)]
    bridge = start(helper_rule(TEST, steps), limits={"stderr_line_bytes": 500})
    bridge.front_end.open("a")
    closed = bridge.front_end.expect("close", "a")
    assert "no line feed" in closed["message"]
    assert len(closed["message"]) < 2_000
    assert max(map(len, bridge.log.lines)) < 2_000
    assert bridge.log.matches("no line feed")


def test_what_is_no_text(start: Start) -> None:
    """Shown as escapes; one line stays one line, and can forge no other."""
    bridge = start(helper_rule(TEST, [init(), stderr_raw(b"\x1b[31mred\r\x07 \xff spanbridge[1] error: x\n"), serve()]))
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    (line,) = bridge.log.wait("red")
    assert line.isprintable()
    assert "test/bridges[0]" in line


def test_a_helper_that_closes_its_stderr(start: Start) -> None:
    bridge = start(helper_rule(TEST, [init(), stderr("last line"), close_fd(2), serve({"data": [exit_with(1)]})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    bridge.log.wait("last line")
    front.round_trip("a")
    front.send("a", b"go")
    assert "last line" in front.expect("close", "a")["message"]


def test_a_stuck_reader_of_the_log_holds_nothing_up(home: Home) -> None:
    """Lines are left out, and counted, while the bridge's stderr takes none."""
    home.package("test", helper_rule(TEST, [init(), stderr("flood of lines", 20_000), serve()]))
    reader, writer = os.pipe()
    bridge = Bridge(home, stderr=writer)
    os.close(writer)
    with bridge:
        front = bridge.front_end
        front.init()
        front.open("a")
        front.expect("ready", "a")
        front.send("a", b"hello")
        assert front.data("a", 5) == b"hello"
        assert os.read(reader, 1 << 20)  # there is room again
        front.open("b", "nobody")
        front.expect("close", "b")
        front.hang_up()
        assert bridge.wait() == 0
        with open(reader, "rb") as file:
            assert re.search(rb"left-out count=\d+", file.read())


def test_a_journal_is_told_how_serious_each_line_is(home: Home) -> None:
    """Where stderr is the stream that JOURNAL_STREAM names (systemd.exec(5))."""
    home.package("test", helper_rule(TEST, [stderr("a line"), exit_with(1)]))
    reader, writer = os.pipe()
    about = os.fstat(writer)
    bridge = Bridge(home, stderr=writer, environ={"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"})
    os.close(writer)
    with bridge:
        bridge.front_end.init()
        bridge.front_end.open("a")
        bridge.front_end.expect("close", "a")
        bridge.end()
        with open(reader) as file:
            lines = file.read().splitlines()
    assert all(re.match(r"<[3-7]>spanbridge\[", line) for line in lines)
    told = [(line[:3], line.split()[2]) for line in lines if "a line" in line]
    assert told == [("<6>", "helper-stderr"), ("<4>", "helper-failed"), ("<6>", "nobody-serves")]
