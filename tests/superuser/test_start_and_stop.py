"""Starting and stopping privileged helpers through `/superuser`."""

import json

import pytest

from spanbridge.testing import processes
from spanbridge.testing.script import (
    exit_with,
    forever,
    init,
    note,
    send,
    serve,
    stderr,
    wait,
)

from .client import CANCELLED, ERROR, SuperuserClient
from .site import Site

GOOD = [init(), serve()]


def test_at_first_none_runs(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"))

    assert superuser.current == "none"


def test_start_returns_when_it_runs_and_current_is_its_id(site: Site) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(site.privileged([note("up"), wait(gate), *GOOD], "one"))

    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    assert superuser.current == "init"
    gate.release()
    assert superuser.outcome(started) == []

    assert superuser.current == "one"
    superuser.wait_current("one")
    front.open("c", superuser="require")
    assert front.expect("ready", "c")["open"]["superuser"] == "require"


def test_stop_ends_it_and_its_channels(site: Site) -> None:
    bridge, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    pid = front.expect("ready", "c")["pid"]

    superuser.call("Stop")

    assert superuser.current == "none"
    assert front.expect("close", "c")["problem"] == "terminated"
    assert processes.wait_ended([pid]) == []
    assert bridge.running


def test_after_a_stop_another_can_be_started(site: Site) -> None:
    _, front, superuser = site.superuser(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"))
    pids = []
    for number, ident in enumerate(("one", "two", "one")):
        superuser.call("Start", ident)
        assert superuser.current == ident
        front.open(f"c{number}", superuser="require")
        pids.append(front.expect("ready", f"c{number}")["pid"])
        superuser.call("Stop")

    assert len(set(pids)) == 3


def test_stop_without_any_is_an_error(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"))

    error = superuser.fail("Stop")

    assert error.name == ERROR
    assert "no privileged bridge runs" in error.text


def test_an_unknown_id_is_an_error_that_names_the_known_ones(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"))

    error = superuser.fail("Start", "three")

    assert error.name == ERROR
    assert "'three'" in error.text
    assert "one, two" in error.text


def test_a_second_start_is_refused(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"))
    superuser.call("Start", "one")

    error = superuser.fail("Start", "two")

    assert error.name == ERROR
    assert "'one' runs already" in error.text
    assert superuser.current == "one"


def test_one_that_never_sends_init_is_stopped_at_once(site: Site) -> None:
    """It ignores the end of its stdin too: `Stop` does not wait for the process."""
    bridge, _, superuser = site.superuser(site.privileged([note("up"), forever()], "one"))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    bridge.front_end.sync()  # what else is started with the first helper has ended by then
    (pid,) = bridge.children

    refused = superuser.fail("Start", "one")
    assert refused.name == ERROR
    assert "being started already" in refused.text
    superuser.call("Stop")

    assert pid in bridge.children
    error = superuser.failure(started)
    assert error.name == CANCELLED
    assert superuser.current == "none"
    assert superuser.fail("Stop").name == ERROR


def test_a_stop_right_behind_its_start(site: Site) -> None:
    """Nobody waits in between, again and again: each stop finds the start that came before it, and nothing is left."""
    bridge, _, superuser = site.superuser(site.privileged([forever()], "one"))
    begun = [superuser.begin(name, *arguments) for _ in range(3) for name, *arguments in (("Start", "one"), ("Stop",))]
    for start, stop in zip(begun[::2], begun[1::2], strict=True):
        assert superuser.failure(start).name == CANCELLED
        assert superuser.outcome(stop) == []
    assert superuser.current == "none"
    assert superuser.fail("Stop").name == ERROR
    assert bridge.running


def test_a_notify_has_what_changed_and_nothing_else(site: Site) -> None:
    _, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    superuser.call("Stop")
    told = [json.loads(frame.payload) for frame in front.of(superuser.channel) if frame.channel]
    changes = [message["notify"]["/superuser"]["cockpit.Superuser"] for message in told if "notify" in message]
    assert [set(change) for change in changes[1:]] == [{"Current"}] * 3
    assert [change["Current"] for change in changes] == ["none", "init", "one", "none"]


def test_one_that_never_sends_init_is_given_up(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged([forever()], "one"), limits={"handshake_seconds": 0.2})

    error = superuser.fail("Start", "one")

    assert error.name == ERROR
    assert "sent no init within 0.2 s" in error.text
    assert superuser.current == "none"


def test_the_error_of_start_is_what_it_said_on_stderr(site: Site) -> None:
    steps = [stderr("no, said the clerk"), stderr("and shut the window"), exit_with(3)]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"))

    error = superuser.fail("Start", "one")

    assert error.name == ERROR
    assert error.text == "no, said the clerk\nand shut the window"
    assert not bridge.log.matches("helper-stderr")


def test_one_that_says_nothing_fails_with_how_it_ended(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged([exit_with(3)], "one"))

    assert "exited with status 3" in superuser.fail("Start", "one").text


def test_one_that_refuses_in_its_init_fails_with_its_message(site: Site) -> None:
    steps = [init(problem="access-denied", message="not on Sundays"), exit_with(0)]
    _, _, superuser = site.superuser(site.privileged(steps, "one"))

    assert superuser.fail("Start", "one").text == "not on Sundays"


@pytest.mark.parametrize("steps", [[send("ready", channel="x")], [send("init", version=2)]])
def test_one_that_breaks_the_protocol_fails(site: Site, steps: list[list[object]]) -> None:
    bridge, _, superuser = site.superuser(site.privileged([*steps, serve()], "one"))

    assert "broke the protocol" in superuser.fail("Start", "one").text
    assert bridge.running
    assert superuser.current == "none"


def test_a_program_that_cannot_be_started_fails(site: Site) -> None:
    path = site.programs / "broken"
    path.write_text("#!/nonexistent/interpreter\n")
    path.chmod(0o755)
    _, _, superuser = site.superuser({"privileged": True, "spawn": [str(path)]})

    assert "cannot be started" in superuser.fail("Start", "broken").text
    assert superuser.current == "none"


def test_a_flood_on_stderr_is_bounded(site: Site) -> None:
    steps = [stderr("x" * 100, 20_000), exit_with(1)]
    _, _, superuser = site.superuser(site.privileged(steps, "one"))

    error = superuser.fail("Start", "one")

    assert error.text.startswith("x" * 100 + " 1\n")
    assert len(error.text) < 20_000


def test_a_failure_is_no_obstacle_to_the_next_start(site: Site) -> None:
    """Nothing rests, however often it fails: it is a person who tries."""
    steps = [stderr("no"), exit_with(1)]
    _, _, superuser = site.superuser(site.privileged(steps, "bad"), site.privileged(GOOD, "good"))

    for _ in range(5):
        assert superuser.fail("Start", "bad").text == "no"

    superuser.call("Start", "good")
    assert superuser.current == "good"


def test_one_that_ends_by_itself(site: Site) -> None:
    steps = [init(), serve({"data": [stderr("enough"), exit_with(0)]})]
    _, front, superuser = site.superuser(site.privileged(steps, "one"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    front.expect("ready", "c")

    front.send("c", b"go")

    assert front.expect("close", "c")["problem"] == "terminated"
    superuser.wait_current("none")
    front.open("d", superuser="require")
    assert front.expect("close", "d")["problem"] == "access-denied"


def test_the_second_client_of_the_bus_sees_the_same(site: Site) -> None:
    _, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    other = SuperuserClient(front, "other")

    superuser.call("Start", "one")

    other.wait_current("one")
    other.call("Stop")
    superuser.wait_current("none")


def test_a_start_whose_caller_has_gone_goes_on(site: Site) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(site.privileged([note("up"), wait(gate), *GOOD], "one"))
    other = SuperuserClient(front, "other")
    other.begin("Start", "one")
    bridge.wait_note("up")
    front.close("other")
    front.open("c", superuser="require")
    front.sync()

    gate.release()

    front.expect("ready", "c")
    superuser.wait_current("one")


def test_a_start_whose_caller_has_gone_fails_and_nothing_waits_any_more(site: Site) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(site.privileged([note("up"), wait(gate), exit_with(1)], "one"))
    other = SuperuserClient(front, "other")
    other.begin("Start", "one")
    bridge.wait_note("up")
    front.close("other")
    front.open("c", superuser="require")
    front.sync()
    assert front.of("c") == []

    gate.release()

    assert front.expect("close", "c")["problem"] == "access-denied"
    assert superuser.current == "none"


def test_a_reload_that_drops_its_rule_stops_it(site: Site) -> None:
    bridge, front, superuser = site.superuser(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    front.expect("ready", "c")
    site.home.package("test", site.privileged(GOOD, "two"))

    bridge.reload()

    assert front.expect("close", "c")["problem"] == "terminated"
    superuser.wait_current("none")
    assert superuser.bridges == ["two"]
    superuser.call("Start", "two")


def test_a_reload_that_drops_its_rule_stops_one_that_is_starting(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([note("up"), forever()], "one"))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    site.home.package("test")

    bridge.reload()

    assert "changed or removed" in superuser.failure(started).text
    assert superuser.bridges == []


def test_a_reload_that_keeps_its_rule_leaves_it(site: Site) -> None:
    bridge, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    front.expect("ready", "c")
    site.home.package("test", site.privileged(GOOD, "other"), site.privileged(GOOD, "one"))

    bridge.reload()

    superuser.front.round_trip("c")
    assert superuser.current == "one"
    assert superuser.bridges == ["other", "one"]


def test_the_end_of_the_session_ends_it(site: Site) -> None:
    bridge, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    pid = front.expect("ready", "c")["pid"]

    assert bridge.end() == 0

    assert processes.wait_ended([pid]) == []


def test_the_end_of_the_session_ends_one_that_is_starting(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([note("up"), forever()], "one"))
    superuser.begin("Start", "one")
    bridge.wait_note("up")
    bridge.front_end.sync()  # as above
    pids = bridge.children

    assert bridge.end() == 0

    assert processes.wait_ended(pids) == []
