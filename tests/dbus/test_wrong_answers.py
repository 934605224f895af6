"""A bus, or a peer, whose answers are of wrong types, no D-Bus, or late: its connection alone ends (docs/dbus.md)."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.message import write_message
from spanbridge.payloads.bus.meta import PROPERTIES
from spanbridge.payloads.bus.signature import Variant
from spanbridge.testing.plugin import Start

from .test_ends import Peer, meet

Answer = Callable[[wire.Message], wire.Message | bytes | None]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with closing(Peer(tmp_path / "peer")) as peer:
        yield peer


def be_a_bus(peer: Peer, answer: Answer) -> threading.Thread:
    """Have the peer answer as a bus does where `answer` gives nothing, until it is left."""

    def usual(asked: wire.Message) -> wire.Message:
        names = {"Hello": ":1.1", "GetNameOwner": ":1.2"}
        return wire.reply(asked, "s", [names[asked.member or ""]]) if asked.member in names else wire.reply(asked)

    def serve() -> None:
        peer.welcome()
        with suppress(OSError, AssertionError):
            while True:
                asked = peer.next()
                told = answer(asked) or usual(asked)
                if isinstance(told, bytes):
                    peer.guest.sendall(told)
                else:
                    peer.send(told)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def said_by(sender: str, path: str, interface: str, member: str, signature: str, values: list[Any]) -> bytes:
    """A signal as a bus passes it on."""
    data = write_message(wire.signal(path, interface, member, signature, values, destination=sender), 1)
    return data.replace(b"\6\1s\0", b"\7\1s\0", 1)  # the sender: we never write one


def error_without_words(asked: wire.Message) -> wire.Message:
    """An error whose body is none."""
    return wire.Message(wire.ERROR, error="a.b.Error", answers=asked.serial, signature="s", body=b"\xff" * 4)


def owner_is(signature: str, *values: object) -> Answer:
    return lambda asked: wire.reply(asked, signature, list(values)) if asked.member == "GetNameOwner" else None


@pytest.mark.parametrize(
    "answer", [error_without_words, owner_is(""), owner_is("u", 5), owner_is("as", ["x"])], ids=range(4)
)
def test_a_bus_that_answers_wrongly(start: Start, peer: Peer, answer: Answer) -> None:
    bridge = start(environ={"DBUS_SESSION_BUS_ADDRESS": peer.address})
    thread = be_a_bus(peer, answer)
    bridge.front_end.open("bus", "dbus-json3", bus="session", name="a.b")
    bridge.front_end.expect("close", "bus", problem="disconnected")
    bridge.front_end.open("echo", "echo")
    bridge.front_end.expect("ready", "echo")
    thread.join()
    assert "unforeseen" not in bridge.log.text


def test_an_error_that_is_none_where_types_were_asked_for(start: Start, peer: Peer) -> None:
    bridge = start()
    client = meet(bridge.front_end, peer, "bus")
    client.say({"call": ["/", "a.b", "C", ["x"]], "id": "1"})
    peer.send(error_without_words(peer.next()))
    bridge.front_end.expect("close", "bus", problem="disconnected")
    bridge.front_end.open("echo", "echo")
    bridge.front_end.expect("ready", "echo")
    assert "unforeseen" not in bridge.log.text


def test_garbage_behind_the_first_answer_is_not_remembered(start: Start, peer: Peer) -> None:
    """The connection is lost in the very turn in which it is made: the next open has another."""
    front = start(environ={"DBUS_SESSION_BUS_ADDRESS": peer.address}).front_end

    def welcome_and_garbage(asked: wire.Message) -> bytes:
        return wire.write_message(wire.reply(asked, "s", [":1.1"]), 1) + b"x" * 32

    thread = be_a_bus(peer, welcome_and_garbage)
    front.open("one", "dbus-json3", bus="session")
    front.expect("close", "one", problem="disconnected")
    thread.join()
    thread = be_a_bus(peer, lambda asked: None)
    front.open("two", "dbus-json3", bus="session")
    front.expect("ready", "two")
    front.hang_up()
    thread.join()


def test_a_connection_whose_channel_has_gone_while_it_was_made_ends(start: Start, peer: Peer) -> None:
    environ = {"DBUS_SESSION_BUS_ADDRESS": peer.address}
    front = start(environ=environ, limits={"dbus_linger_seconds": 0.1}).front_end
    asked, answer = threading.Event(), threading.Event()

    def late(message: wire.Message) -> None:
        asked.set()
        answer.wait(10)

    thread = be_a_bus(peer, late)
    front.open("bus", "dbus-json3", bus="session")
    asked.wait(10)
    front.close("bus")
    time.sleep(0.3)  # longer than it outlives its last channel
    answer.set()
    thread.join(10)
    assert not thread.is_alive()


Wrong = tuple[str, list[Any]]

WRONG: list[Wrong] = [
    ("", []),
    ("u", [5]),
    ("s", [""]),
    ("s", ["no name"]),
    ("as", [["x"]]),
    ("a{sv}", [{}]),
    ("ss", ["x", "y"]),
]
XML = '<node><interface name="a.b"><property name="P" type="s" access="read"/></interface></node>'

ASKED: list[Any] = [{"watch": {"path": "/"}}, {"watch": {}}, {"call": ["/", "a.b", "C", ["x"]], "id": "last"}]


def answers_wrongly(member: str, wrong: Wrong) -> Answer:
    """As a bus with a service on it, but for one method."""

    def answer(asked: wire.Message) -> wire.Message | bytes | None:
        if asked.member == member:
            return wire.reply(asked, *wrong)
        if asked.member == "Introspect":
            return wire.reply(asked, "s", [XML])
        if asked.member == "GetAll":
            told = write_message(wire.reply(asked, "a{sv}", [{"P": Variant("s", "x")}]), 9)
            return told + said_by(":1.2", "/", PROPERTIES, "PropertiesChanged", "sa{sv}as", ["a.b", {}, ["P"]])
        if asked.member == "GetNameOwner" and member == "StartServiceByName":
            return wire.error(asked, "org.freedesktop.DBus.Error.NameHasNoOwner")
        return None

    return answer


@pytest.mark.parametrize(
    "member",
    ["Hello", "AddMatch", "GetNameOwner", "StartServiceByName", "Introspect", "GetManagedObjects", "GetAll", "Get"],
)
def test_answers_of_any_other_type(start: Start, peer: Peer, member: str) -> None:
    """They may cost the connection, but are no mistake of ours."""
    bridge = start()
    front = bridge.front_end
    for number, wrong in enumerate(WRONG):
        thread = be_a_bus(peer, answers_wrongly(member, wrong))
        ident = f"bus-{number}"
        front.open(ident, "dbus-json3", bus="none", address=peer.address, name="a.b")
        for message in ASKED:
            front.send(ident, json.dumps(message).encode())
        ended = front.take(partial(is_last, ident), "an answer, or the end")
        if ended.channel:
            front.close(ident)
        thread.join()
    front.open("echo", "echo")
    front.expect("ready", "echo")
    assert bridge.log.matches("unforeseen|bus-failed") == []


def is_last(channel: str, frame: Any) -> bool:
    if frame.channel == channel:
        return bool(json.loads(frame.payload).get("id") == "last")
    return bool(frame.message.get("command") == "close" and frame.message.get("channel") == channel)
