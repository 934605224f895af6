"""Who gets a channel that asks for privileges: `superuser` of an open."""

from typing import Any

import pytest

from spanbridge.testing.script import close_fd, data, exit_with, forever, init, note, send, serve, stderr, wait

from .site import Site

PRIVILEGED = [init(), serve()]
ORDINARY = [init(), serve()]


def rules(site: Site, privileged: list[Any] = PRIVILEGED) -> list[dict[str, Any]]:
    """A privileged helper, and an ordinary one that would take anything."""
    ordinary = site.helper({"payload": "test"}, ORDINARY)
    return [{**ordinary, "environ": ["SIDE=ordinary"]}, site.privileged(privileged, "one", environ=["SIDE=privileged"])]


@pytest.mark.parametrize("members", [{}, {"superuser": None}, {"superuser": False}])
def test_an_open_that_does_not_ask_is_not_privileged(site: Site, members: dict[str, Any]) -> None:
    _, front, superuser = site.superuser(*rules(site))
    superuser.call("Start", "one")

    front.open("c", **members)

    assert front.expect("ready", "c")["environ"]["SIDE"] == "ordinary"


@pytest.mark.parametrize("wanted", ["require", "try", True])
def test_while_one_runs_it_gets_what_asks(site: Site, wanted: Any) -> None:
    _, front, superuser = site.superuser(*rules(site))
    superuser.call("Start", "one")

    front.open("c", superuser=wanted)

    ready = front.expect("ready", "c")
    assert ready["environ"]["SIDE"] == "privileged"
    front.send("c", b"over there")
    assert front.data("c", 10) == b"over there"
    front.close("c")
    front.expect("close", "c")


@pytest.mark.parametrize("wanted", ["require", True])
def test_without_one_what_requires_it_is_denied(site: Site, wanted: Any) -> None:
    _, front, _ = site.superuser(*rules(site))

    front.open("c", superuser=wanted)

    assert front.expect("close", "c")["problem"] == "access-denied"


def test_without_one_what_tries_goes_on_as_if_it_had_not_asked(site: Site) -> None:
    _, front, _ = site.superuser(*rules(site))

    front.open("c", superuser="try")

    assert front.expect("ready", "c")["environ"]["SIDE"] == "ordinary"


@pytest.mark.parametrize("wanted", ["yes", "", 1, 0, [], {}])
def test_anything_else_is_a_mistake(site: Site, wanted: Any) -> None:
    bridge, front, _ = site.superuser(*rules(site))

    front.open("c", superuser=wanted)

    closed = front.expect("close", "c")
    assert closed["problem"] == "protocol-error"
    assert "superuser" in closed["message"]
    assert bridge.running


@pytest.mark.parametrize("wanted", ["require", "try", True])
def test_what_asks_waits_for_one_that_is_coming_up(site: Site, wanted: Any) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(*rules(site, [note("up"), wait(gate), *PRIVILEGED]))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    front.open("c", superuser=wanted)
    front.send("c", b"early")
    front.control("done", channel="c")
    front.open("d", superuser=wanted)
    front.close("d")
    front.open("plain")
    assert front.expect("ready", "plain")["environ"]["SIDE"] == "ordinary"
    assert front.of("c") == []

    gate.release()

    superuser.outcome(started)
    assert front.expect("ready", "c")["environ"]["SIDE"] == "privileged"
    assert front.data("c", 5) == b"early"
    front.round_trip("c")
    assert "ready" not in front.commands("d")


def test_what_waited_hears_of_a_failure(site: Site) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(*rules(site, [note("up"), wait(gate), stderr("no"), exit_with(1)]))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    front.open("must", superuser="require")
    front.open("may", superuser="try")
    front.send("may", b"early")
    front.sync()
    assert front.of("must") == front.of("may") == []

    gate.release()

    superuser.failure(started)
    assert front.expect("close", "must")["problem"] == "access-denied"
    assert front.expect("ready", "may")["environ"]["SIDE"] == "ordinary"
    assert front.data("may", 5) == b"early"


def test_what_waited_hears_of_a_stop(site: Site) -> None:
    bridge, front, superuser = site.superuser(*rules(site, [note("up"), forever()]))
    superuser.begin("Start", "one")
    bridge.wait_note("up")
    front.open("must", superuser="require")
    front.open("may", superuser="try")

    superuser.call("Stop")

    assert front.expect("close", "must")["problem"] == "access-denied"
    assert front.expect("ready", "may")["environ"]["SIDE"] == "ordinary"


def test_what_waits_can_be_killed(site: Site) -> None:
    gate = site.gate()
    bridge, front, superuser = site.superuser(*rules(site, [note("up"), wait(gate), *PRIVILEGED]))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    front.open("c", superuser="require", group="g")

    front.control("kill", group="g")

    assert front.expect("close", "c")["problem"] == "terminated"
    gate.release()
    superuser.outcome(started)
    front.open("d", superuser="require")
    front.expect("ready", "d")
    assert front.commands("c") == ["close"]


def test_what_waits_is_gone_with_the_front_end(site: Site) -> None:
    bridge, front, superuser = site.superuser(*rules(site, [note("up"), forever()]))
    superuser.begin("Start", "one")
    bridge.wait_note("up")
    front.open("must", superuser="require")
    front.open("may", superuser="try")
    front.sync()

    assert bridge.end() == 0


def test_the_host_is_looked_at_first(site: Site) -> None:
    """The helper for that host gets `superuser` as it came: privileges are to be had there."""
    far = {**site.helper({"host": "far"}, ORDINARY), "environ": ["SIDE=far"]}
    _, front, superuser = site.superuser(far, *rules(site))
    front.open("before", host="far", superuser="require")
    before = front.expect("ready", "before")
    superuser.call("Start", "one")
    front.open("after", host="far", superuser="require")
    after = front.expect("ready", "after")

    for ready in (before, after):
        assert ready["environ"]["SIDE"] == "far"
        assert ready["open"]["superuser"] == "require"


def test_our_own_host_is_no_other(site: Site) -> None:
    _, front, superuser = site.superuser(*rules(site))
    superuser.call("Start", "one")

    front.open("c", host="localhost", superuser="require")

    assert front.expect("ready", "c")["environ"]["SIDE"] == "privileged"


def test_an_internal_payload_is_the_privileged_sides_too(site: Site) -> None:
    """`echo` is served by the bridge itself, unless privileges are asked for."""
    _, front, superuser = site.superuser(*rules(site))
    superuser.call("Start", "one")

    front.open("c", "echo", superuser="require")

    assert front.expect("ready", "c")["environ"]["SIDE"] == "privileged"


def test_one_that_has_closed_its_stdin_and_stdout_gets_no_more(site: Site) -> None:
    """It has some time to exit, for which nobody is to wait who would not be served."""
    gate = site.gate()
    steps = [init(), serve({"data": [close_fd(0), close_fd(1), wait(gate), exit_with(0)]})]
    bridge, front, superuser = site.superuser(*rules(site, steps), limits={"last_words_seconds": 1000})
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    front.expect("ready", "c")
    front.send("c", b"close it")
    bridge.log.wait("superuser current=none")

    front.open("must", superuser="require")
    front.open("may", superuser="try")
    started = superuser.begin("Start", "one")

    assert front.expect("close", "must")["problem"] == "access-denied"
    assert front.expect("ready", "may")["environ"]["SIDE"] == "ordinary"
    assert "close" not in front.commands("c")
    gate.release()
    assert front.expect("close", "c")["problem"] == "terminated"
    superuser.outcome(started)
    front.open("next", superuser="require")
    assert front.expect("ready", "next")["environ"]["SIDE"] == "privileged"


def test_an_id_that_is_used_again_while_the_helper_dies(site: Site) -> None:
    """The helper does not answer the close, so the second open of the id is held back; then there is no helper."""
    steps = [init(), serve({"close": [note("closed")], "data": [exit_with(1)]})]
    bridge, front, superuser = site.superuser(*rules(site, steps))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    front.expect("ready", "c")
    front.open("d", superuser="require")
    front.expect("ready", "d")
    front.close("c")
    bridge.wait_note("closed")
    front.open("c", superuser="require")

    front.send("d", b"die")

    assert front.expect("close", "c")["problem"] == "access-denied"
    assert front.expect("close", "d")["problem"] == "terminated"


def test_an_id_that_is_used_again_waits_for_the_old_channel_to_be_over(site: Site) -> None:
    """There is no second one to give it to: what it still says of the old channel does not reach the new one."""
    gate = site.gate()
    late = [wait(gate), data("c", b"old"), send("close", channel="c", of="old")]
    rule = site.privileged([init(), serve({"close": late})])
    bridge, front, superuser = site.superuser(rule, limits={"close_answer_seconds": 0.1})
    superuser.call("Start", "test")
    front.open("c", superuser="require")
    front.expect("ready", "c")
    front.close("c")
    front.open("c", superuser="require")
    front.send("c", b"new")
    bridge.log.wait("limit name=close_answer_seconds")

    gate.release()

    assert front.data("c", 3) == b"new"
    assert front.commands("c") == ["ready", "ready", "data"]


def test_an_id_that_is_used_again_waits_only_so_long(site: Site) -> None:
    """The helper, and its other channels, go on."""
    limits = {"close_answer_seconds": 0.05, "stuck_seconds": 0.05}
    _, front, superuser = site.superuser(site.privileged([init(), serve({"close": []})]), limits=limits)
    superuser.call("Start", "test")
    for channel in ("c", "d"):
        front.open(channel, superuser="require")
        front.expect("ready", channel)
    front.close("c")
    front.open("c", superuser="require")
    front.send("c", b"new")
    closed = front.expect("close", "c")
    assert closed["problem"] == "timeout"
    assert "stuck_seconds" in closed["message"]
    front.send("d", b"on")
    assert front.data("d", 2) == b"on"
