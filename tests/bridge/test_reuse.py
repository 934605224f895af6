"""One process for each rule and expansion, shared by all opens that expand alike (docs/protocol.md, "Helpers")."""

import signal
from pathlib import Path

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import Rule, helper_rule, init, serve

GOOD = [init(), serve()]
TEST = {"payload": "test"}


def test_an_open_is_served_by_a_helper(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD))
    front = bridge.front_end
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    assert bridge.children == [pid]
    front.send("a", b"hello")
    assert front.data("a", 5) == b"hello"
    front.close("a")
    front.expect("close", "a")
    assert bridge.end() == 0


def test_no_helper_is_started_before_it_is_needed(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD))
    bridge.front_end.sync()
    assert bridge.children == []


@pytest.mark.parametrize(
    "rule",
    [
        helper_rule(TEST, GOOD, "${tag}"),
        helper_rule(TEST, GOOD, environ=["TAG=${tag}"]),
        helper_rule(TEST, GOOD, environ=["TAG_${tag}=x"]),
        helper_rule(TEST, GOOD, directory="/proc/self/${tag}/.."),
    ],
    ids=["spawn", "environ value", "environ name", "directory"],
)
def test_opens_that_expand_alike_share_a_process(start: Start, rule: Rule) -> None:
    """Whatever their other options are; others get a process of their own."""
    bridge = start(rule)
    front = bridge.front_end
    opens = [("a", "fd"), ("b", "fd"), ("c", "task"), ("d", "fd"), ("e", "task"), ("f", "net")]
    for number, (channel, tag) in enumerate(opens):
        front.open(channel, tag=tag, other=number, group=f"group-{number}")
    pids = {channel: front.expect("ready", channel)["pid"] for channel, _ in opens}
    assert pids["a"] == pids["b"] == pids["d"]
    assert pids["c"] == pids["e"]
    assert len({pids["a"], pids["c"], pids["f"]}) == 3
    assert bridge.children == sorted(set(pids.values()))


def test_values_that_expand_to_the_same_text_share_a_process(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, "${tag}")).front_end
    for channel, tag in {"a": 1, "b": "1", "c": None, "d": ""}.items():
        front.open(channel, tag=tag)
    front.control("open", channel="e", payload="test")
    pids = {channel: front.expect("ready", channel)["pid"] for channel in "abcde"}
    assert pids["a"] == pids["b"]
    assert pids["c"] == pids["d"] == pids["e"] != pids["a"]


def test_two_rules_never_share_a_process(start: Start) -> None:
    front = start(helper_rule({"payload": "one"}, GOOD), helper_rule({"payload": "two"}, GOOD)).front_end
    front.open("a", "one")
    front.open("b", "two")
    assert front.expect("ready", "a")["pid"] != front.expect("ready", "b")["pid"]


def test_a_helper_without_channels_stays_for_the_session(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD)).front_end
    pids = set()
    for _ in range(3):
        front.open("a")
        pids.add(front.expect("ready", "a")["pid"])
        front.close("a")
        front.expect("close", "a")
    assert len(pids) == 1


def test_the_first_rule_that_matches_takes_it(home: Home, start: Start) -> None:
    """Packages by descending priority, ties by name, within one in listed order."""
    home.package("c-default", helper_rule(TEST, GOOD, "c"))
    home.package("b-default", helper_rule(TEST, GOOD, "b1"), helper_rule(TEST, GOOD, "b2"))
    home.package("z-high", helper_rule({**TEST, "high": "yes"}, GOOD, "z"), priority=2.5)
    home.package("a-low", helper_rule({"payload": None}, GOOD, "a"), priority=0)
    front = start().front_end
    front.open("one")
    front.open("two", high="yes")
    front.open("three", "anything")
    assert front.expect("ready", "one")["argv"] == ["b1"]
    assert front.expect("ready", "two")["argv"] == ["z"]
    assert front.expect("ready", "three")["argv"] == ["a"]


def test_a_rule_may_take_over_an_internal_payload(start: Start) -> None:
    """Bridges come before internal handlers."""
    bridge = start(helper_rule({"payload": "echo"}, GOOD))
    front = bridge.front_end
    front.open("a", "echo")
    assert front.expect("ready", "a")["pid"] in bridge.children


def test_the_helper_leads_a_session_of_its_own(start: Start) -> None:
    """A signal to the bridge's process group, as a terminal sends it, is for the bridge alone."""
    front = start(helper_rule(TEST, GOOD)).front_end
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    assert (int(fields[2]), int(fields[3])) == (pid, pid)  # process group, session


def test_the_helper_has_no_descriptor_but_its_three(start: Start) -> None:
    """Not the front end's, and not another helper's: those would keep them open when the bridge closes them."""
    rules = [helper_rule({"payload": f"p{number}"}, GOOD) for number in range(3)]
    front = start(*rules).front_end
    for number in range(3):
        front.open(f"c{number}", f"p{number}")
        pid = front.expect("ready", f"c{number}")["pid"]
        assert sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir()) == ["0", "1", "2"]


def signals(pid: int | str, mask: str) -> set[int]:
    """The signals in a mask of /proc/PID/status."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{mask}:")]
    bits = int(line.split()[1], 16)
    return {number for number in range(1, 65) if bits & 1 << (number - 1)}


def test_the_helper_starts_with_no_signal_ignored_or_blocked(start: Start) -> None:
    """None but those that whoever started the bridge ignores, and the two that Python itself does."""
    front = start(helper_rule(TEST, GOOD)).front_end
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    assert signals(pid, "SigBlk") == set()
    assert signals(pid, "SigIgn") <= {signal.SIGPIPE, signal.SIGXFSZ} | signals("self", "SigIgn")
