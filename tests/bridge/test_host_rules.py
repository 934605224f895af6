"""Helpers of rules that name `host`: which host they hear of, and who answers what they ask before their `init`."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from spanbridge.helpers.host_rule import Answers
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, helper_rule, init, note_message, read, send, serve, wait

OTHER = {"match": {"host": None}}


def ask(challenge: str) -> list[Any]:
    return [send("authorize", cookie="c", challenge=challenge), read("authorize"), note_message()]


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


SECRETS = {"password": "geheim ß", "host-key": "ssh-ed25519 AAAA"}
ANSWERS: list[tuple[str, dict[str, Any], str]] = [
    ("*", SECRETS, ""),
    ("X-Conversation 5 UGFzc3dvcmQ=", SECRETS, ""),
    ("basic", {**SECRETS, "user": "anna"}, basic("anna:geheim ß")),
    ("basic", {**SECRETS, "host": "bert@other"}, basic("bert:geheim ß")),
    ("basic", {**SECRETS, "host": "bert@other", "user": "anna"}, basic("anna:geheim ß")),
    ("basic", SECRETS, basic("me:geheim ß")),
    ("basic", {"user": "anna"}, ""),
    ("x-host-key", SECRETS, "x-host-key ssh-ed25519 AAAA"),
    ("x-host-key", {"password": "x"}, ""),
    ("plain1:6d65", SECRETS, "geheim ß"),
    ("plain1:", {}, ""),
    ("gssapi", SECRETS, ""),
    ("", SECRETS, ""),
]


@pytest.mark.parametrize(("challenge", "members", "response"), ANSWERS)
def test_what_an_open_answers(challenge: str, members: dict[str, Any], response: str) -> None:
    assert Answers({"host": "other", **members}, "me").to(challenge) == response


def test_the_password_is_told_plainly_once() -> None:
    answers = Answers({"host": "other", **SECRETS}, "me")
    assert [answers.to("plain1:6d65") for _ in range(3)] == ["geheim ß", "", ""]


def test_a_question_before_init_is_answered_from_the_open(start: Start) -> None:
    """The secrets go no further: the open that is passed on has them no more."""
    steps = [
        *ask("*"),
        *ask("basic"),
        *ask("x-host-key"),
        *ask("plain1:"),
        init(),
        read("init"),
        note_message(),
        serve(),
    ]
    bridge = start({**OTHER, "spawn": helper_rule({}, steps)["spawn"]})
    front = bridge.front_end
    front.open("a", host="other", user="anna", **SECRETS)
    served = front.expect("ready", "a")["open"]
    assert (served["host"], served["user"]) == ("other", "anna")
    assert not set(SECRETS) & set(served)
    *responses, answer = bridge.noted_messages
    assert [each["response"] for each in responses] == [
        "",
        basic("anna:geheim ß"),
        "x-host-key ssh-ed25519 AAAA",
        "geheim ß",
    ]
    assert answer["host"] == "other"
    assert "geheim" not in bridge.log.text


def test_a_key_in_the_name_is_not_trusted(start: Start) -> None:
    steps = [*ask("x-host-key"), init(), serve()]
    bridge = start({**OTHER, "spawn": helper_rule({}, steps)["spawn"]})
    bridge.front_end.open("a", host="other+key+ssh-rsa AAAA")
    bridge.front_end.expect("ready", "a")
    assert [each["response"] for each in bridge.noted_messages] == [""]


def test_for_this_host_nothing_is_answered_nor_taken_out(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [*ask("plain1:"), init(), read("init"), note_message(), serve()]))
    bridge.front_end.open("a", **SECRETS)
    served = bridge.front_end.expect("ready", "a")["open"]
    assert {name: served[name] for name in SECRETS} == SECRETS
    asked, answer = bridge.noted_messages
    assert asked["response"] == ""
    assert answer["host"] == "localhost"


def test_its_problem_is_told_once_with_all_its_members(start: Start) -> None:
    results = {"password": "denied"}
    steps = [
        *ask("*"),
        init(problem="authentication-failed", message="no", **{"auth-method-results": results, "error": "x"}),
        exit_with(0),
    ]
    bridge = start({**OTHER, "spawn": helper_rule({}, steps)["spawn"], "problem": "not-this"})
    front = bridge.front_end
    for _ in range(5):
        front.open("a", host="other")
        closed = front.expect("close", "a")
        assert closed["problem"] == "authentication-failed"
        assert closed["auth-method-results"] == results
        assert closed["error"] == "x"
    front.sync()
    assert front.commands("a") == ["close"] * 5


def test_a_wrong_password_keeps_no_other_out(start: Start, gate: Callable[[], Gate]) -> None:
    """The next open is asked for its own at once, though those who refused the others have not ended yet."""
    end = gate()
    steps = [*ask("plain1:"), init(problem="authentication-failed"), wait(end)]
    bridge = start({**OTHER, "spawn": helper_rule({}, steps)["spawn"]})
    passwords = ["wrong", "wrong", "also wrong", "right"]
    for password in passwords:
        bridge.front_end.open("a", host="other", password=password, session="shared")
        assert bridge.front_end.expect("close", "a")["problem"] == "authentication-failed"
    assert [each["response"] for each in bridge.noted_messages] == passwords
    end.release(len(passwords))
