"""`superuser` in the front end's `init`: one is started at once, and `superuser-init-done` tells that it was tried."""

from typing import Any

import pytest

from spanbridge.testing.script import (
    Step,
    exit_with,
    forever,
    init,
    note,
    note_message,
    read,
    send,
    serve,
    stderr,
    wait,
)

from .client import ERROR, SuperuserClient
from .site import Site

GOOD = [init(), serve()]
BAD = [stderr("no"), exit_with(1)]


def asks(cookie: str = "c1") -> list[Step]:
    return [
        send("authorize", cookie=cookie, challenge="plain1:", prompt="Password:"),
        read("authorize"),
        note_message(),
    ]


def test_any_is_the_first(site: Site) -> None:
    bridge = site.start(site.named("first", GOOD), site.named("second", GOOD), superuser={"id": "any"})

    bridge.front_end.expect("superuser-init-done")
    assert SuperuserClient(bridge.front_end).current == "first"


def test_any_is_the_first_of_those_with_a_label_where_there_are_any(site: Site) -> None:
    bridge = site.start(site.named("first", GOOD), site.privileged(GOOD, "two"), superuser={"id": "any"})

    bridge.front_end.expect("superuser-init-done")
    assert SuperuserClient(bridge.front_end).current == "two"


def test_an_id(site: Site) -> None:
    bridge = site.start(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"), superuser={"id": "two"})

    bridge.front_end.expect("superuser-init-done")
    assert SuperuserClient(bridge.front_end).current == "two"


def test_any_tries_the_next_one(site: Site) -> None:
    rules = [site.privileged(BAD, "bad"), site.privileged([*asks(), *BAD], "refused"), site.privileged(GOOD, "good")]
    bridge = site.start(*rules, superuser={"id": "any"})
    front = bridge.front_end
    question = front.expect("authorize")
    front.control("authorize", cookie=question["cookie"], response="wrong")

    front.expect("superuser-init-done")

    assert SuperuserClient(front).current == "good"


def test_an_id_that_fails_is_all_that_is_tried(site: Site) -> None:
    rules = [site.privileged(BAD, "bad"), site.privileged(GOOD, "good")]
    bridge = site.start(*rules, superuser={"id": "bad"})

    bridge.front_end.expect("superuser-init-done")

    superuser = SuperuserClient(bridge.front_end)
    assert superuser.current == "none"
    superuser.call("Start", "good")


@pytest.mark.parametrize("wanted", ["any", "unknown"])
def test_done_is_sent_where_there_is_none(site: Site, wanted: str) -> None:
    bridge = site.start(superuser={"id": wanted})

    bridge.front_end.expect("superuser-init-done")
    assert SuperuserClient(bridge.front_end).current == "none"
    assert bridge.log.matches(f"superuser-failed id={wanted} .*there are: none")


def test_done_is_sent_where_all_fail(site: Site) -> None:
    bridge = site.start(site.named("first", BAD), site.named("second", BAD), superuser={"id": "any"})

    bridge.front_end.expect("superuser-init-done")
    assert SuperuserClient(bridge.front_end).current == "none"
    assert len(bridge.log.matches("superuser-failed")) == 2


@pytest.mark.parametrize("wanted", [None, False, True, "any", "require", {}, {"id": None}, {"id": 5}, []])
def test_anything_else_means_none(site: Site, wanted: Any) -> None:
    bridge = site.start(site.privileged(GOOD, "one"), superuser=wanted)

    superuser = SuperuserClient(bridge.front_end)

    assert superuser.current == "none"
    assert not bridge.children
    assert "superuser-init-done" not in [
        frame.message["command"] for frame in bridge.front_end.log if not frame.channel
    ]


def test_current_is_init_meanwhile_and_opens_wait(site: Site) -> None:
    gate = site.gate()
    bridge = site.start(
        site.privileged([note("up"), wait(gate), *GOOD], "one"),
        site.helper({"payload": "test"}, GOOD),
        superuser={"id": "any"},
    )
    front = bridge.front_end
    superuser = SuperuserClient(front)
    assert superuser.current == "init"
    front.open("must", superuser="require")
    front.open("may", superuser="try")
    front.open("plain")
    front.expect("ready", "plain")
    refused = superuser.fail("Start", "one")
    assert refused.name == ERROR
    assert "being started already" in refused.text
    assert front.of("must") == front.of("may") == []

    gate.release()

    privileged = front.expect("ready", "must")["pid"]
    assert front.expect("ready", "may")["pid"] == privileged
    front.expect("superuser-init-done")
    superuser.wait_current("one")


def test_opens_hear_of_a_failure_when_the_last_has_failed(site: Site) -> None:
    gates = [site.gate(), site.gate()]
    bridge = site.start(
        site.named("first", [note("first"), wait(gates[0]), *BAD]),
        site.named("second", [note("second"), wait(gates[1]), *BAD]),
        superuser={"id": "any"},
    )
    front = bridge.front_end
    front.open("c", superuser="require")
    bridge.wait_note("first")
    gates[0].release()
    bridge.wait_note("second")
    front.sync()
    assert front.of("c") == []

    gates[1].release()

    assert front.expect("close", "c")["problem"] == "access-denied"
    front.expect("superuser-init-done")


def test_a_stop_ends_it_and_nothing_more_is_tried(site: Site) -> None:
    bridge = site.start(
        site.named("first", [note("up"), forever()]),
        site.named("second", GOOD),
        superuser={"id": "any"},
        limits={"exit_seconds": 0.2},
    )
    superuser = SuperuserClient(bridge.front_end)
    bridge.wait_note("up")

    superuser.call("Stop")

    bridge.front_end.expect("superuser-init-done")
    assert superuser.current == "none"


def test_a_question_is_passed_on_once_with_the_users_name(site: Site) -> None:
    """The second one is refused: the front end has one password, and a wrong one is not worth trying again."""
    bridge = site.start(site.privileged([*asks("c1"), *asks("c2"), *GOOD], "one"), superuser={"id": "any"})
    front = bridge.front_end
    question = front.expect("authorize")
    assert question["challenge"] == "plain1:" + site.user.name.encode().hex()

    front.control("authorize", cookie=question["cookie"], response="the password")

    front.expect("superuser-init-done")
    told = [(message["cookie"], message["response"]) for message in bridge.noted_messages]
    assert told == [("c1", "the password"), ("c2", "")]
    assert SuperuserClient(front).current == "one"
    asked = [frame for frame in front.log if not frame.channel and frame.message["command"] == "authorize"]
    assert len(asked) == 1


def test_only_the_answer_with_its_cookie_counts(site: Site) -> None:
    bridge = site.start(site.privileged([*asks(), *GOOD], "one"), superuser={"id": "any"})
    front = bridge.front_end
    cookie = front.expect("authorize")["cookie"]
    front.control("authorize", cookie="another", response="wrong")
    front.control("authorize", response="wrong")
    superuser = SuperuserClient(front)
    assert superuser.fail("Answer", "wrong").name == ERROR
    assert superuser.current == "init"

    front.control("authorize", cookie=cookie, response="right")
    front.control("authorize", cookie=cookie, response="again")

    front.expect("superuser-init-done")
    assert [message["response"] for message in bridge.noted_messages] == ["right"]


@pytest.mark.parametrize("members", [{}, {"response": None}, {"response": 7}])
def test_an_answer_without_a_response_refuses(site: Site, members: dict[str, Any]) -> None:
    bridge = site.start(site.privileged([*asks(), *BAD], "one"), superuser={"id": "any"})
    front = bridge.front_end
    question = front.expect("authorize")

    front.control("authorize", cookie=question["cookie"], **members)

    front.expect("superuser-init-done")
    assert [message["response"] for message in bridge.noted_messages] == [""]


def test_a_front_end_that_goes_away_during_the_question(site: Site) -> None:
    bridge = site.start(site.privileged([*asks(), *GOOD], "one"), superuser={"id": "any"})
    bridge.front_end.expect("authorize")

    assert bridge.end() == 0


def test_a_second_init_while_the_first_is_acted_on(site: Site) -> None:
    gate = site.gate()
    bridge = site.start(site.privileged([note("up"), wait(gate), *GOOD], "one"), superuser={"id": "any"})
    bridge.wait_note("up")

    bridge.front_end.init(superuser={"id": "any"})
    bridge.front_end.expect("superuser-init-done")

    gate.release()
    bridge.front_end.expect("superuser-init-done")
    assert len(bridge.journal.matches('"note": "up"')) == 1
