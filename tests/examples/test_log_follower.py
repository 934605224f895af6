"""examples/helpers/log_follower.py."""

import os
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of twenty lines."""
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    path.write_text("".join(f"line {number}\n" for number in range(1, 21)))
    return path


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def follow(front_end: FrontEnd, path: Path, channel: str = "a", **options: object) -> None:
    front_end.open(channel, "log-follower", path=str(path), **options)
    front_end.expect("ready", channel)


def expect_data(front_end: FrontEnd, text: str | bytes, channel: str = "a") -> None:
    expected = text if isinstance(text, bytes) else text.encode()
    assert front_end.data(channel, len(expected)) == expected


def test_the_last_lines_and_what_is_appended(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=2)
    expect_data(front_end, "line 19\nline 20\n")
    append(log, "line 21\nhalf")
    expect_data(front_end, "line 21\nhalf")
    append(log, " a line\n")
    expect_data(front_end, " a line\n")


def test_how_many_lines(front_end: FrontEnd, log: Path) -> None:
    for content, lines, expected in (
        ("a\nb\nc\n", 1, "c\n"),
        ("a\nb\nc", 1, "c"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 2, "a\nb\n"),
        ("a\n", 7, "a\n"),
        ("\n\n\n", 2, "\n\n"),
        ("", 3, ""),
        ("a\nb\n", 0, ""),
    ):
        log.write_text(content)
        channel = f"{lines} of {content!r}"
        follow(front_end, log, channel, lines=lines)
        append(log, "END")
        expect_data(front_end, f"{expected}END", channel)
        front_end.close(channel)


def test_the_last_lines_have_a_bound(front_end: FrontEnd, log: Path) -> None:
    log.write_bytes(b"x" * 3_000_000)
    follow(front_end, log, lines=1)
    expect_data(front_end, b"x" * (1 << 20))


def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=0)
    for turn in range(3):
        append(log, f"last of {turn}\n")
        log.rename(log.with_name(f"log.{turn}"))
        expect_data(front_end, f"last of {turn}\n")
        append(log.with_name(f"log.{turn}"), "a late word\n")
        log.write_text(f"first of {turn + 1}\n")
        front_end.expect("rotated", "a")
        expect_data(front_end, f"a late word\nfirst of {turn + 1}\n")


def test_a_log_that_is_replaced_at_once(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=1)
    expect_data(front_end, "line 20\n")
    new = log.with_name("new")
    new.write_text("other\n")
    new.rename(log)
    front_end.expect("rotated", "a")
    expect_data(front_end, "other\n")


def test_a_truncated_log_is_read_from_its_start(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=1)
    expect_data(front_end, "line 20\n")
    os.truncate(log, 0)
    front_end.expect("truncated", "a")
    append(log, "anew\n")
    expect_data(front_end, "anew\n")


def test_a_log_that_is_not_there_yet(front_end: FrontEnd, log: Path) -> None:
    log.unlink()
    follow(front_end, log)
    append(log, "at last\n")
    expect_data(front_end, "at last\n")
    assert "rotated" not in front_end.commands("a")


def test_characters_are_not_torn_and_what_is_none_is_replaced(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=0)
    append(log, "zażółć".encode()[:3])
    expect_data(front_end, "za")
    append(log, "zażółć".encode()[3:] + b"\xff\n")
    expect_data(front_end, "żółć\N{REPLACEMENT CHARACTER}\n")
    follow(front_end, log, "b", lines=0, binary="raw")
    append(log, b"\xff")
    expect_data(front_end, b"\xff", "b")


def test_one_process_for_each_file(bridge: Bridge, front_end: FrontEnd, log: Path) -> None:
    other = log.with_name("other")
    other.write_text("theirs\n")
    follow(front_end, log, "a", lines=1)
    follow(front_end, log, "b", lines=1)
    follow(front_end, other, "c", lines=1)
    for channel, text in (("a", "line 20\n"), ("b", "line 20\n"), ("c", "theirs\n")):
        expect_data(front_end, text, channel)
    assert len(processes.children(bridge.pid)) == 2
    append(log, "more\n")
    for channel in ("a", "b"):
        expect_data(front_end, "more\n", channel)
    front_end.close("a")
    front_end.expect("close", "a")
    append(log, "and more\n")
    expect_data(front_end, "and more\n", "b")


def test_what_cannot_be_followed(front_end: FrontEnd, log: Path) -> None:
    for channel, name, lines, problem, told in (
        ("a", "nowhere/log", 1, "not-found", "nowhere: No such file or directory"),
        ("b", "logs", 1, "not-supported", "expected a regular file"),
        ("c", "logs/log", -1, "protocol-error", '"lines": expected a number from 0 to 10000, found -1'),
        ("d", "logs/log", "x", "protocol-error", "found 'x'"),
    ):
        front_end.open(channel, "log-follower", path=str(log.parent.parent / name), lines=lines)
        assert told in front_end.expect("close", channel, problem=problem)["message"]


def test_a_directory_that_goes_away(front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log, lines=1)
    expect_data(front_end, "line 20\n")
    log.unlink()
    log.parent.rmdir()
    front_end.expect("close", "a", problem="not-found", message=f"{log.parent} was removed")


def test_it_ends_with_its_session(bridge: Bridge, front_end: FrontEnd, log: Path) -> None:
    follow(front_end, log)
    assert bridge.end() == 0
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')
