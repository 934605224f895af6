"""A rule whose helpers fail to start again and again rests (docs/protocol.md, "Helpers", Ended after init)."""

import shlex
import signal
from pathlib import Path

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import Steps, command, die, exit_with, forever, helper_rule, init, note, read, serve

TEST = {"payload": "test"}
FAILING = [note("started"), exit_with(1)]


def open_and_fail(bridge: Bridge, channel: str = "a", payload: str = "test") -> dict[str, str]:
    bridge.front_end.open(channel, payload)
    return bridge.front_end.expect("close", channel)


def either(condition: Path, good: Steps, bad: Steps) -> str:
    """A shell script: a helper that runs `good` if the file `condition` is there, else `bad`."""
    lines = [shlex.join(command(steps)) for steps in (good, bad)]
    return f"#!/bin/sh\nif [ -e {shlex.quote(str(condition))} ]; then exec {lines[0]}; fi\nexec {lines[1]}\n"


def test_after_three_failures_it_is_not_tried_again(start: Start) -> None:
    """Its opens fail at once by the same rules, and the log names the limit."""
    bridge = start(helper_rule(TEST, FAILING, problem="out-of-order"), limits={"backoff_seconds": 60})
    for _ in range(3):
        closed = open_and_fail(bridge)
        assert closed["problem"] == "out-of-order"
        assert "status 1" in closed["message"]
    for _ in range(5):
        closed = open_and_fail(bridge)
        assert closed["problem"] == "out-of-order"
        assert "test/bridges[0]" in closed["message"]
    assert len(bridge.notes) == 3
    assert len(bridge.log.matches(r"limit.*start_failures\b")) == 1


def test_its_opens_go_on_to_the_next(start: Start) -> None:
    bridge = start(
        helper_rule(TEST, FAILING),
        helper_rule(TEST, [init(), serve()]),
        helper_rule({"payload": "echo"}, FAILING),
        helper_rule({"payload": "alone"}, FAILING),
        limits={"backoff_seconds": 60},
    )
    front = bridge.front_end
    for number in range(5):
        front.open(f"a{number}")
        front.expect("ready", f"a{number}")
        front.open(f"e{number}", "echo")
        front.expect("ready", f"e{number}")
        front.send(f"e{number}", b"hello")
        assert front.data(f"e{number}", 5) == b"hello"
        closed = open_and_fail(bridge, f"x{number}", "alone")
        assert closed["problem"] == "not-supported"
        assert "test/bridges[3]" in closed["message"]
    assert len(bridge.notes) == 9


def test_each_command_is_counted_alone(start: Start) -> None:
    """A rule that serves many hosts: one that is down does not shut out the others."""
    bridge = start(
        helper_rule({"payload": "bad"}, FAILING, "${to}"),
        helper_rule(TEST, [note("started"), init(), serve()], "${to}"),
        limits={"backoff_seconds": 60},
    )
    front = bridge.front_end
    for _ in range(4):
        for to in ("here", "there"):
            front.open("a", "bad", to=to)
            assert front.expect("close", "a")["problem"] == "not-supported"
    front.open("b", to="there")
    front.expect("ready", "b")
    assert sorted(note["argv"] for note in bridge.notes) == [*[["here"]] * 3, *[["there"]] * 4]


def test_a_refusal_in_its_own_words_is_not_counted(start: Start) -> None:
    """It ran, and told why not; the next try may have the right password."""
    steps = [note("started"), init(problem="authentication-failed", message="no"), exit_with(0)]
    bridge = start(helper_rule(TEST, steps), limits={"backoff_seconds": 60})
    for _ in range(6):
        closed = open_and_fail(bridge)
        assert (closed["problem"], closed["message"]) == ("authentication-failed", "no")
    assert len(bridge.notes) == 6


def test_opens_that_wait_for_one_start_are_one_failure(start: Start) -> None:
    """Not three, though three channels are closed."""
    bridge = start(helper_rule(TEST, FAILING), limits={"backoff_seconds": 60})
    for number in range(5):
        for channel in "abc":
            bridge.front_end.open(channel)
        for channel in "abc":
            bridge.front_end.expect("close", channel)
        assert len(bridge.notes) == min(number + 1, 3)


def test_a_start_that_goes_well_makes_the_failures_forgotten(start: Start, tmp_path: Path) -> None:
    """Two failures, a start, two failures: it never rests."""
    works = tmp_path / "works"
    program = tmp_path / "program"
    program.write_text(either(works, [note("started"), init(), read("open"), die(signal.SIGKILL)], FAILING))
    program.chmod(0o755)
    bridge = start({"match": TEST, "spawn": [str(program)]}, limits={"backoff_seconds": 60})
    for _ in range(3):
        works.unlink(missing_ok=True)
        assert open_and_fail(bridge)["problem"] == "not-supported"
        assert open_and_fail(bridge)["problem"] == "not-supported"
        works.touch()
        assert open_and_fail(bridge)["problem"] == "terminated"
    assert len(bridge.notes) == 9


def test_failures_that_lie_far_apart_do_not_count(start: Start) -> None:
    """Here any two lie too far apart."""
    bridge = start(helper_rule(TEST, FAILING), limits={"backoff_seconds": 60, "start_failures_seconds": 0.000001})
    for _ in range(6):
        open_and_fail(bridge)
    assert len(bridge.notes) == 6


def test_the_rest_doubles_up_to_its_limit(start: Start) -> None:
    limits = {"backoff_seconds": 0.02, "backoff_most_seconds": 0.1, "start_failures_seconds": 60}
    bridge = start(helper_rule(TEST, FAILING), limits=limits)
    for _ in range(100_000):
        open_and_fail(bridge)
        if len(bridge.notes) == 7:
            break
    rests = [line.partition("rests=")[2].strip('"') for line in bridge.log.matches(r"limit.*start_failures\b")]
    assert rests == ["0.02", "0.04", "0.08", "0.1", "0.1"]


def test_a_rule_that_rests_is_tried_again(start: Start, tmp_path: Path) -> None:
    """When its time is over, by one helper; once that has come up the rule is as good as new."""
    works = tmp_path / "works"
    program = tmp_path / "program"
    program.write_text(either(works, [note("started"), init(), serve()], FAILING))
    program.chmod(0o755)
    bridge = start({"match": TEST, "spawn": [str(program)]}, limits={"backoff_seconds": 0.02, "start_failures": 1})
    front = bridge.front_end
    open_and_fail(bridge)
    works.touch()
    for _ in range(100_000):
        front.open("a")
        answer = front.take(lambda frame: frame.message.get("channel") == "a", "ready or close").message
        if answer["command"] == "ready":
            break
    assert len(bridge.notes) == 2


def test_a_helper_that_dies_after_its_init_is_no_failure_to_start(start: Start) -> None:
    bridge = start(helper_rule(TEST, [note("started"), init(), read("open"), exit_with(1)]))
    for _ in range(6):
        assert open_and_fail(bridge)["problem"] == "terminated"
    assert len(bridge.notes) == 6


def test_a_helper_that_never_says_init_counts(start: Start) -> None:
    limits = {"handshake_seconds": 0.1, "backoff_seconds": 60, "exit_seconds": 0.1, "term_seconds": 0.1}
    bridge = start(helper_rule(TEST, [forever()]), limits=limits)
    for _ in range(5):
        assert open_and_fail(bridge)["problem"] == "not-supported"
    assert len(bridge.log.matches("helper-started")) == 3
    assert len(bridge.log.matches("limit.*handshake_seconds")) == 3
