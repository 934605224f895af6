"""Privileged helpers that misbehave or meet a bad moment: the session goes on."""

import select
import signal

from spanbridge.testing import processes
from spanbridge.testing.script import close_fd, exit_with, forever, init, note, raw, read, repeat, send, serve, wait

from .client import SuperuserClient
from .site import Site
from .test_process import Privileged

GOOD = [init(), serve()]


def test_one_that_asks_for_a_stderr_and_goes_away(site: Site) -> None:
    """The bridge is stopped meanwhile, so that it finds the question of somebody who does not listen any more."""
    gate = site.gate()
    steps = [note("up"), wait(gate), send("send-stderr"), close_fd(0), close_fd(1), note("gone"), exit_with(1)]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"), site.privileged(GOOD, "two"))
    started = superuser.begin("Start", "one")
    bridge.wait_note("up")
    bridge.front_end.sync()  # what else is started with the first helper has ended by then
    (pid,) = bridge.children
    bridge.signal(signal.SIGSTOP)
    gate.release()
    bridge.wait_note("gone")
    assert processes.wait_ended([pid]) == []

    bridge.signal(signal.SIGCONT)

    assert "one" not in superuser.failure(started).text
    superuser.call("Start", "two")


def test_what_one_says_in_place_of_a_frame_is_told_nobody(site: Site) -> None:
    """It may be a password that was typed into it; what others say first is shown."""
    bridge, _, superuser = site.superuser(site.privileged([raw(b"hunter2\n"), forever()], "one"))
    assert "hunter" not in superuser.fail("Start", "one").text
    bridge.log.wait("expected a frame")
    assert not bridge.log.matches("hunter")


def test_one_that_asks_for_more_stderrs_than_can_be_had(site: Site) -> None:
    """Each would be a descriptor under way, of which the kernel allows a user so many."""
    steps = [repeat(3_000, [send("send-stderr")]), *GOOD]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"), site.privileged(GOOD, "two"))

    assert "send-stderr" in superuser.fail("Start", "one").text

    assert bridge.running
    superuser.call("Start", "two")


def test_a_question_that_is_refused_does_not_hurry_the_one_that_is_open(site: Site) -> None:
    first = send("authorize", cookie="c1", challenge="plain1:", prompt="First:")
    second = send("authorize", cookie="c2", challenge="plain1:", prompt="Second:")
    steps = [first, second, read("authorize"), note("refused"), read("authorize"), *GOOD]
    bridge, front, superuser = site.superuser(
        site.privileged(steps, "one"),
        site.helper({"payload": "slow"}, [forever()]),
        limits={"handshake_seconds": 0.5, "exit_seconds": 0.1},
    )
    started = superuser.begin("Start", "one")
    superuser.prompt()
    bridge.wait_note("refused")
    front.open("c", "slow")  # its time begins later: it is the clock
    assert "sent no init within 0.5 s" in front.expect("close", "c")["message"]

    superuser.call("Answer", "yes")

    superuser.outcome(started)


def test_one_that_reads_no_answers_when_the_user_gives_one(site: Site) -> None:
    """It breaks the protocol: not the front end, whose message has crossed the limit."""
    first = send("authorize", cookie="c1", challenge="plain1:")
    refused = send("authorize", cookie="c2", challenge="plain1:")
    bad = site.privileged([first, repeat(20, [refused]), note("asked"), forever()], "bad")
    bridge = site.start(
        bad, site.privileged(GOOD, "good"), superuser={"id": "any"}, limits={"helper_queue_bytes": 10_000}
    )
    front = bridge.front_end
    question = front.expect("authorize")
    bridge.wait_note("asked")
    front.sync()

    front.control("authorize", cookie=question["cookie"], response="x" * 10_000)

    front.expect("superuser-init-done")
    assert bridge.log.wait("helper-protocol-error .*asks more than it reads the answers to")
    assert SuperuserClient(front).current == "good"


def test_privileged_whose_bridge_ends_without_having_read_it(site: Site) -> None:
    """The kernel tells of that in another way than of an end after everything was read: a reset."""
    privileged = Privileged(site)
    assert select.select([privileged.ours], [], [], 20)[0]

    privileged.ours.close()

    assert privileged.end() == (0, b"")


def test_one_that_is_killed(site: Site) -> None:
    _, front, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    pid = front.expect("ready", "c")["pid"]

    processes.kill([pid])

    closed = front.expect("close", "c")
    assert closed["problem"] == "terminated"
    assert "SIGKILL" in closed["message"]
    superuser.wait_current("none")
    superuser.call("Start", "one")


def test_the_bridge_is_killed(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    family = bridge.family
    assert len(family) == 1

    bridge.signal(signal.SIGKILL)

    assert bridge.wait() == -signal.SIGKILL
    assert processes.wait_ended(family) == []
