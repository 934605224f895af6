"""Manifests that change while a session runs (docs/manifests.md, "Reload")."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

from spanbridge.log import Log
from spanbridge.session.session import Session
from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import answer, forever, helper_rule, init, note, serve, wait
from spanbridge.testing.start import starting

GOOD = [init(), serve(), note("stopped")]


def test_a_rule_that_stays_keeps_its_helper(home: Home, start: Start) -> None:
    """Though it moved: to another line, behind another rule, and into another position."""
    kept = helper_rule({"payload": "kept"}, GOOD)
    home.package("test", kept)
    bridge = start()
    front = bridge.front_end
    front.open("a", "kept")
    pid = front.expect("ready", "a")["pid"]
    home.package("test", helper_rule({"payload": "new"}, GOOD), kept, priority=7)
    bridge.reload()
    front.send("a", b"alive")
    assert front.data("a", 5) == b"alive"
    front.open("b", "kept")
    assert front.expect("ready", "b")["pid"] == pid
    assert bridge.notes == []


def test_a_rule_that_is_gone_has_its_helpers_stopped(home: Home, start: Start) -> None:
    """All of them, channels closed with terminated; the other rules' go on."""
    home.package("gone", helper_rule({"payload": "gone"}, GOOD, "${tag}"))
    home.package("kept", helper_rule({"payload": "kept"}, GOOD))
    bridge = start()
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel, "gone", tag=channel)
    front.open("c", "kept")
    pids = [front.expect("ready", channel)["pid"] for channel in ("a", "b", "c")]
    home.remove_package("gone")
    bridge.reload()
    for channel in ("a", "b"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "terminated"
        assert "gone/bridges[0]" in closed["message"]
    assert processes.wait_ended(pids[:2]) == []
    bridge.wait_note("stopped", 2)
    front.send("c", b"alive")
    assert front.data("c", 5) == b"alive"
    front.open("a", "gone", tag="a")
    assert front.expect("close", "a")["problem"] == "not-supported"
    assert front.commands("b") == ["ready", "close"]


def test_a_rule_that_changed_is_gone_and_new(home: Home, start: Start) -> None:
    home.package("test", helper_rule({"payload": "test"}, GOOD, "old"))
    bridge = start()
    front = bridge.front_end
    front.open("a")
    assert front.expect("ready", "a")["argv"] == ["old"]
    home.package("test", helper_rule({"payload": "test"}, GOOD, "new"))
    bridge.reload()
    assert front.expect("close", "a")["problem"] == "terminated"
    front.open("a")
    assert front.expect("ready", "a")["argv"] == ["new"]


def test_a_new_rule_serves_the_next_open(home: Home, start: Start) -> None:
    bridge = start()
    front = bridge.front_end
    front.open("a", "new")
    assert front.expect("close", "a")["problem"] == "not-supported"
    home.package("new", helper_rule({"payload": "new"}, GOOD))
    front.open("a", "new")
    assert front.expect("close", "a")["problem"] == "not-supported"
    bridge.reload()
    front.open("a", "new")
    front.expect("ready", "a")


def test_an_open_that_waits_when_its_rule_goes(home: Home, start: Start, gate: Callable[[], Gate]) -> None:
    """It is a channel of that helper: terminated, whatever the rule's problem, and whatever rule comes next."""
    slow = gate()
    starting = [wait(slow), init(), serve()]
    home.package(
        "gone",
        helper_rule({"payload": "one"}, starting, problem="not-this"),
        helper_rule({"payload": "two"}, starting),
        helper_rule({"payload": "two"}, [note("should not be started"), *GOOD]),
    )
    bridge = start(limits={"exit_seconds": 0.1, "term_seconds": 0.1})
    front = bridge.front_end
    front.open("a", "one")
    front.open("b", "two")
    front.sync()
    home.remove_package("gone")
    bridge.reload()
    assert front.expect("close", "a")["problem"] == "terminated"
    assert front.expect("close", "b")["problem"] == "terminated"
    assert bridge.notes == []


def test_an_open_that_fails_after_a_reload_goes_on_by_the_new_rules(
    home: Home, start: Start, gate: Callable[[], Gate]
) -> None:
    """No helper of a rule that is gone is started any more."""
    slow = gate()
    failing = helper_rule({"payload": "test"}, [wait(slow), ["exit", 1]])
    home.package("a-kept", failing)
    home.package("b-gone", helper_rule({"payload": "test"}, [note("should not be started"), *GOOD]))
    bridge = start()
    front = bridge.front_end
    front.open("a")
    front.sync()
    home.remove_package("b-gone")
    home.package("c-new", helper_rule({"payload": "test"}, GOOD, "new"))
    bridge.reload()
    slow.release()
    assert front.expect("ready", "a")["argv"] == ["new"]
    assert bridge.notes == []


def test_an_open_that_is_held_back_when_its_rule_goes(home: Home, start: Start, gate: Callable[[], Gate]) -> None:
    """It waits for the answer to the close of its id: a channel of that helper too."""
    late = gate()
    home.package("gone", helper_rule({"payload": "test"}, [init(), serve({"close": [wait(late), answer()]})]))
    bridge = start(limits={"exit_seconds": 0.1, "term_seconds": 0.1})
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.close("a")
    front.open("a")
    front.sync()
    home.remove_package("gone")
    bridge.reload()
    assert front.expect("close", "a")["problem"] == "terminated"


def test_a_manifest_that_breaks_takes_no_other_with_it(home: Home, start: Start) -> None:
    """It is left out with one warning that names the file; mended, it serves again."""
    home.package("broken", helper_rule({"payload": "broken"}, GOOD))
    home.package("kept", helper_rule({"payload": "kept"}, GOOD))
    bridge = start()
    front = bridge.front_end
    for payload in ("broken", "kept"):
        front.open(payload, payload)
        front.expect("ready", payload)
    home.write_manifest("broken", '{"bridges": [')
    bridge.reload()
    assert front.expect("close", "broken")["problem"] == "terminated"
    front.send("kept", b"alive")
    assert front.data("kept", 5) == b"alive"
    assert len(bridge.log.matches(r"warning.*broken/manifest\.json:1")) == 1
    home.package("broken", helper_rule({"payload": "broken"}, GOOD))
    bridge.reload()
    front.open("broken", "broken")
    front.expect("ready", "broken")


def test_a_set_that_fails_to_load_leaves_the_old_one_in_force(home: Home, start: Start) -> None:
    """The directory of all packages cannot be read: that is no reason to stop what runs."""
    home.package("test", helper_rule({"payload": "test"}, GOOD))
    bridge = start()
    front = bridge.front_end
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    packages = home.data_home / "cockpit"
    packages.rename(home.data_home / "elsewhere")
    packages.symlink_to(packages)  # a loop: ELOOP for whoever reads it
    bridge.signal(10)
    bridge.log.wait("cannot be read")
    front.send("a", b"alive")
    assert front.data("a", 5) == b"alive"
    front.open("b")
    assert front.expect("ready", "b")["pid"] == pid


def test_a_reload_while_it_starts(home: Home, start: Start) -> None:
    """Asked for when it has said no more than its init: acted on as soon as it can be."""
    bridge = start(handshake=False)
    front = bridge.front_end
    front.expect("init")
    home.package("new", helper_rule({"payload": "new"}, GOOD))
    bridge.reload()
    front.init()
    front.open("a", "new")
    front.expect("ready", "a")


def test_many_reloads(home: Home, start: Start) -> None:
    """Nothing piles up, and a signal that comes while one is acted on is not an end."""
    home.package("test", helper_rule({"payload": "test"}, GOOD))
    bridge = start()
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.descriptors(bridge.pid)
    for _ in range(30):
        bridge.signal(10)
    bridge.reload()
    front.send("a", b"alive")
    assert front.data("a", 5) == b"alive"
    assert processes.descriptors(bridge.pid) == before


def test_a_reload_where_the_directory_of_the_start_is_gone(home: Home) -> None:
    """The command was given by a path from there."""
    gone = home.root / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'cd gone && exec "$0"', os.path.relpath(SPANBRIDGE, gone.resolve())]
    with starting(home, command) as start:
        bridge = start()
        bridge.front_end.open("a", "echo")
        bridge.front_end.expect("ready", "a")
        gone.rmdir()
        bridge.package("new", {**helper_rule({"payload": "new"}, GOOD), "directory": "/"})
        bridge.front_end.open("b", "new")
        bridge.front_end.expect("ready", "b")
        bridge.front_end.send("a", b"alive")
        assert bridge.front_end.data("a", 5) == b"alive"


def test_a_reload_that_fails_leaves_the_rules_as_they_are() -> None:
    def fail() -> NoReturn:
        raise RuntimeError("of whatever kind")

    lines: list[str] = []
    session: Any = SimpleNamespace(_load=fail, _log=Log(sink=lambda level, event, fields: lines.append(f"{fields}")))
    Session._reload(session)
    assert len(lines) == 1
    assert "RuntimeError: of whatever kind" in lines[0]


def test_a_hang_up_is_no_reload(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve(), forever()]), limits={"exit_seconds": 0.1})
    bridge.front_end.sync()
    bridge.signal(1)
    assert bridge.wait() == 0
