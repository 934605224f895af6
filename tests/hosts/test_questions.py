"""What ssh asks, who answers, and what happens if nobody does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from .farm import CODE, PASSWORD, Farm
from .test_connect import SESSIONS, echo


class People:
    """Whoever answers questions, on the internal bus."""

    def __init__(self, front: FrontEnd, channel: str = "bus") -> None:
        self._front = front
        self._channel = channel
        self._ids = iter(range(1_000))
        front.open(channel, "dbus-json3", bus="internal")
        front.expect("ready", channel)
        self.send({"add-match": {"path": "/hosts"}})

    def send(self, message: dict[str, Any]) -> None:
        self._front.send(self._channel, json.dumps(message).encode())

    def next(self, kind: str) -> Any:
        """The next message of a kind."""

        def fits(frame: Any) -> bool:
            return frame.channel == self._channel and kind in json.loads(frame.payload)

        return json.loads(self._front.take(fits, f"{kind} on {self._channel}").payload)[kind]

    def prompt(self) -> dict[str, Any]:
        path, interface, member, arguments = self.next("signal")
        if member != "Prompt":
            return self.prompt()
        assert (path, interface) == ("/hosts", "spanbridge.Hosts")
        return dict(zip(("id", "host", "messages", "prompt", "echo", "confirm"), arguments, strict=True))

    def call(self, method: str, *arguments: Any) -> Any:
        self.send({"call": ["/hosts", "spanbridge.Hosts", method, list(arguments)], "id": str(next(self._ids))})
        return self.next("reply")


def refused(front: FrontEnd, channel: str, host: str, **members: Any) -> dict[str, Any]:
    front.open(channel, "echo", host=host, **members)
    closed = front.expect("close", channel)
    assert closed["problem"] == "authentication-failed"
    return closed


@pytest.fixture
def bridge(begin: Start) -> Iterator[Bridge]:
    made = begin()
    yield made
    for secret in (PASSWORD, CODE):
        assert secret not in made.log.text


def test_a_locked_key(other: Farm, bridge: Bridge) -> None:
    """Its path is told; with a password besides it is not needed; and from the agent it serves."""
    other.use_key("locked")
    for session in SESSIONS:
        closed = refused(bridge.front_end, session, "alice@far", session=session)
        assert closed["error"] == f"locked identity: {other.front_home}/.ssh/id_ed25519"
        echo(bridge, "alice@far", f"{session} again", session=session, password=PASSWORD)


def test_a_second_factor(bridge: Bridge) -> None:
    people = People(bridge.front_end)
    for session in SESSIONS:
        bridge.front_end.open(session, "echo", host="twofactor@far", session=session, password=PASSWORD)
        prompt = people.prompt()
        assert prompt["host"] == "twofactor@far"
        assert "Verification code" in prompt["prompt"]
        people.call("Answer", prompt["id"], CODE)
        bridge.front_end.expect("ready", session)


def test_a_second_factor_that_nobody_answers(other: Farm, bridge: Bridge) -> None:
    """The question is the message, and nothing was sent to the host in its place."""
    failures = other.log.count("Failed keyboard-interactive")
    for channel, session in zip("ab", SESSIONS, strict=True):
        closed = refused(bridge.front_end, channel, "twofactor@far", session=session, password=PASSWORD)
        assert "Verification code" in closed["message"]
    assert other.log.count("Failed keyboard-interactive") == failures


def test_everything_is_asked_of_people(bridge: Bridge) -> None:
    """An open without a password, but somebody listens."""
    people = People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="twofactor@far")
    for answer in (PASSWORD, CODE):
        people.call("Answer", people.prompt()["id"], answer)
    bridge.front_end.expect("ready", "a")


def test_a_wrong_answer_of_people(bridge: Bridge) -> None:
    people = People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="kbd@far")
    people.call("Answer", people.prompt()["id"], "not it")
    closed = bridge.front_end.expect("close", "a")
    assert closed["auth-method-results"]["password"] == "denied"
    assert closed["auth-method-results"]["publickey"] == "not-provided"


def test_a_question_that_is_cancelled(bridge: Bridge) -> None:
    people = People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="kbd@far")
    prompt = people.prompt()
    people.call("Cancel", prompt["id"])
    assert bridge.front_end.expect("close", "a")["problem"] == "authentication-failed"
    people.send({"call": ["/hosts", "spanbridge.Hosts", "Answer", [prompt["id"], "x"]], "id": "late"})
    assert "no question" in people.next("error")[1][0]


def test_nobody_waits_for_the_answer_any_more(bridge: Bridge) -> None:
    """The question goes with the last channel."""
    people = People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="kbd@far")
    prompt = people.prompt()
    bridge.front_end.close("a")
    people.send({"call": ["/hosts", "spanbridge.Hosts", "Answer", [prompt["id"], "x"]], "id": "late"})
    assert "no question" in people.next("error")[1][0]
    assert not bridge.log.matches("host-failed")


def test_nobody_is_left_who_listens(bridge: Bridge) -> None:
    front = bridge.front_end
    people = People(front)
    front.open("a", "echo", host="kbd@far")
    people.prompt()
    front.close("bus")
    assert front.expect("close", "a")["problem"] == "authentication-failed"


def test_a_question_that_waits_too_long(begin: Start) -> None:
    """The clock of the connection stands meanwhile."""
    bridge = begin(limits={"host_prompt_seconds": 1.5, "host_connect_seconds": 1.4})
    People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="kbd@far")
    assert bridge.front_end.expect("close", "a")["problem"] == "authentication-failed"


def test_an_expired_password(bridge: Bridge) -> None:
    for channel, session in zip("ab", SESSIONS, strict=True):
        closed = refused(bridge.front_end, channel, "expired@far", session=session, password=PASSWORD)
        assert "assword" in closed["message"]


def test_an_expired_password_of_one_with_a_key(other: Farm, bridge: Bridge) -> None:
    other.use_key()
    assert "Password change required" in refused(bridge.front_end, "a", "expired@far")["message"]


def test_a_key_and_a_password(other: Farm, bridge: Bridge) -> None:
    other.use_key()
    echo(bridge, "both@far", password=PASSWORD)
    closed = refused(bridge.front_end, "b", "both@far", session="private")
    assert closed["auth-method-results"]["password"] == "not-provided"


def test_the_password_never_goes_to_a_jump_host(other: Farm, bridge: Bridge) -> None:
    """The jump host asks for one of its own; nobody answers."""
    other.write("config", "Host far\n    ProxyJump kbd@jump\n")
    accepted = other.log.count("Accepted")
    closed = refused(bridge.front_end, "a", "alice@far", password=PASSWORD)
    assert "kbd@jump" in closed["message"]
    assert other.log.count("Accepted") == accepted


def test_people_answer_for_a_jump_host(other: Farm, bridge: Bridge) -> None:
    other.write("config", "Host far\n    ProxyJump kbd@jump\n")
    people = People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="alice@far", password=PASSWORD)
    prompt = people.prompt()
    assert "kbd@jump" in prompt["prompt"]
    people.call("Answer", prompt["id"], PASSWORD)
    bridge.front_end.expect("ready", "a")


def test_connections_are_told_and_ended(other: Farm, bridge: Bridge) -> None:
    other.use_key()
    front = bridge.front_end
    people = People(front)
    echo(bridge, "alice@far")
    people.send({"watch": {"path": "/hosts"}, "id": "w"})
    told = people.next("notify")["/hosts"]["spanbridge.Hosts"]["Hosts"]["alice@far"]
    assert told["state"] == {"t": "s", "v": "ready"}
    assert told["channels"] == {"t": "u", "v": 1}
    people.call("Disconnect", "alice@far")
    assert front.expect("close", "a")["problem"] == "terminated"


def test_a_stranger_at_the_askpass_socket(other: Farm, begin: Start) -> None:
    """Our own user, but no child of an ssh of ours: it gets nothing."""
    bridge = begin()
    People(bridge.front_end)
    bridge.front_end.open("a", "echo", host="kbd@far")
    bridge.front_end.wait_until(lambda: "host-asks" in bridge.log.text, "a question")
    environ: dict[bytes, bytes] = {}
    for pid in bridge.family:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ |= dict(each.partition(b"=")[::2] for each in file.read().split(b"\0"))
    path = environ[b"SPANBRIDGE_ASKPASS_SOCKET"].decode()
    assert other.ask(path) == b""
    assert bridge.log.matches("askpass-refused")
