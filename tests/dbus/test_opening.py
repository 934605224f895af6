"""How a channel on a real bus begins (docs/dbus.md, "Opening")."""

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.bus.addresses import Address, escape, parse
from spanbridge.payloads.bus.authentication import Authentication
from spanbridge.protocol.problems import Problem
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from .conftest import NAME, Open, Serve, connect
from .service import PrivateBus, Tree, descriptors_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unix:path=/run/bus", [("/run/bus", None)]),
        ("unix:path=/run/b%20s%c3%a9,guid=0a", [("/run/b sé", "0a")]),
        ("unix:path=/run/%e9", [("/run/\udce9", None)]),
        ("unix:abstract=/tmp/x", [("\0/tmp/x", None)]),
        ("unix:runtime=yes", [("/run/user/1/bus", None)]),
        ("unix:path=/a;tcp:host=x;unix:path=/b;", [("/a", None), ("/b", None)]),
    ],
)
def test_addresses(text: str, found: list[tuple[str, str | None]]) -> None:
    assert parse(text, {"XDG_RUNTIME_DIR": "/run/user/1"}) == [Address(*each) for each in found]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "protocol-error"),
        (";", "protocol-error"),
        ("unix", "protocol-error"),
        (":path=/x", "protocol-error"),
        ("unix:", "protocol-error"),
        ("unix:path", "protocol-error"),
        ("unix:path=", "protocol-error"),
        ("unix:path=/x,path=/y", "protocol-error"),
        ("unix:path=/x,abstract=y", "protocol-error"),
        ("unix:path=/x%2", "protocol-error"),
        ("unix:path=/x%zz", "protocol-error"),
        ("unix:path=/x%00", "protocol-error"),
        ("unix:runtime=no", "protocol-error"),
        ("unix:runtime=yes", "not-found"),
        ("tcp:host=localhost,port=1", "not-supported"),
        ("unixexec:path=/bin/true", "not-supported"),
        ("autolaunch:", "not-supported"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(text, {})
    assert caught.value.code == problem


def test_a_path_as_an_address_has_it() -> None:
    for path in ("/run/user/1000", "/a b;c,d=e%f", "/caf\udce9", "/\N{GRINNING FACE}"):
        (found,) = parse(f"unix:path={escape(path)}", {})
        assert found.socket == path


def test_authentication_byte_by_byte() -> None:
    authentication = Authentication(1000, None)
    assert authentication.begin == b"\0AUTH EXTERNAL 31303030\r\nNEGOTIATE_UNIX_FD\r\n"
    said = b"".join(authentication.feed(bytes([byte])) for byte in b"OK 0a1b\r\nAGREE_UNIX_FD\r\n")
    assert said == b"BEGIN\r\n"
    assert authentication.over
    assert authentication.passes_descriptors


def test_a_bus_that_passes_no_descriptors_and_speaks_at_once() -> None:
    authentication = Authentication(0, "0a")
    assert authentication.feed(b"DATA\r\nOK 0a\r\nERROR no\r\nl\1") == b"DATA\r\nBEGIN\r\n"
    assert not authentication.passes_descriptors
    assert authentication.rest == b"l\1"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"REJECTED EXTERNAL\r\n", "access-denied"),
        (b"OK 0b\r\n", "internal-error"),
        (b"HTTP/1.1 400 Bad Request\r\n", "internal-error"),
        (b"OK 0a\r\nREJECTED\r\n", "internal-error"),
        (b"x" * 20_000, "internal-error"),
    ],
)
def test_who_does_not_let_us_in(said: bytes, problem: str) -> None:
    with pytest.raises(Problem) as caught:
        Authentication(0, "0a").feed(said)
    assert caught.value.code == problem


# Through a bridge


def test_the_buses(front: FrontEnd, shared_bus: PrivateBus) -> None:
    every: list[dict[str, Any]] = [
        {},
        {"bus": "system"},
        {"bus": "session"},
        {"bus": "user"},
        {"address": shared_bus.address, "name": "org.freedesktop.DBus", "capabilities": ["address"]},
        {"bus": "none", "address": f"unix:path=/nowhere;{shared_bus.address}", "name": "org.freedesktop.DBus"},
    ]
    for number, options in enumerate(every):
        front.open(f"the-buses-{number}", "dbus-json3", **options)
        assert front.expect("ready", f"the-buses-{number}")["unique-name"].startswith(":")
        front.close(f"the-buses-{number}")


@pytest.mark.parametrize(
    "options",
    [
        {"bus": "session", "name": "nobody"},
        {"bus": "session", "name": 5},
        {"bus": "session", "name": ":1.5x/"},
        {"bus": "session", "group": 5},
        {"bus": "session", "address": "unix:path=/x"},
        {"bus": "sesion"},
        {"address": "unix"},
        {"address": 5},
        {"address": "unix:path=/a\0b"},
        {"binary": "hex"},
    ],
    ids=str,
)
def test_bad_options(front: FrontEnd, channel: str, options: dict[str, Any]) -> None:
    front.open(channel, "dbus-json3", **options)
    assert front.expect("close", channel, problem="protocol-error")["message"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("unix:path=/no/such/socket", "not-found"),
        ("unix:path=/" + "x" * 200, "not-found"),
        ("unix:abstract=nobody-listens-there", "not-found"),
        ("tcp:host=localhost,port=1", "not-supported"),
    ],
)
def test_where_no_bus_is(front: FrontEnd, channel: str, address: str, problem: str) -> None:
    front.open(channel, "dbus-json3", address=address)
    assert front.expect("close", channel, problem=problem)["message"]


def test_a_bus_with_another_guid(front: FrontEnd, shared_bus: PrivateBus, channel: str) -> None:
    front.open(channel, "dbus-json3", address=f"{shared_bus.address},guid={'0' * 32}")
    assert "guid" in front.expect("close", channel, problem="internal-error")["message"]


def listen(path: Path, *said: bytes) -> socket.socket:
    """A socket whose every guest is told this, and is kept waiting."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    kept = []

    def welcome() -> None:
        while True:
            try:
                guest, _ = server.accept()
            except OSError:
                return
            kept.append(guest)
            guest.sendall(b"".join(said))
            if not said:
                guest.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=welcome, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([b"REJECTED EXTERNAL\r\n"], "access-denied"),
        ([], "access-denied"),
        ([b"SSH-2.0-OpenSSH\r\n"], "internal-error"),
        ([b"OK 1\r\nAGREE_UNIX_FD\r\n", b"no message at all"], "disconnected"),
    ],
    ids=["rejected", "closed", "another", "no bus"],
)
def test_those_that_are_no_bus(front: FrontEnd, tmp_path: Path, channel: str, said: list[bytes], problem: str) -> None:
    with listen(tmp_path / "socket", *said):
        front.open(channel, "dbus-json3", address=f"unix:path={tmp_path}/socket", name="a.b")
        front.expect("close", channel, problem=problem)


def test_a_bus_that_says_nothing(start: Start, tmp_path: Path) -> None:
    bridge = start(limits={"connect_seconds": 0.2})
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        bridge.front_end.open("mute", "dbus-json3", address=f"unix:path={tmp_path}/socket")
        bridge.front_end.open("null", "null")
        bridge.front_end.expect("ready", "null")
        bridge.front_end.expect("close", "mute", problem="timeout")


def test_a_name_that_nobody_has(front: FrontEnd, channel: str) -> None:
    front.open(channel, "dbus-json3", bus="session", name="com.example.Nobody")
    frame = front.take(lambda frame: frame.channel == channel, "the owner")
    assert frame.message == {"owner": None}
    assert "com.example.Nobody" in front.expect("close", channel, problem="not-found")["message"]
    assert front.commands(channel) == ["data", "close"]


WAITER = """\
import asyncio, sys
from dbus_fast.aio import MessageBus
async def main():
    bus = await MessageBus().connect()
    await bus.request_name("com.example.Waiter")
    await bus.wait_for_disconnect()
asyncio.run(main())
"""


def test_the_owner_is_told_before_what_was_asked_early(front: FrontEnd, open_bus: Open, channel: str) -> None:
    """Each of these is answered at once."""
    owner = open_bus(None).ready["unique-name"]
    front.open(channel, "dbus-json3", bus="session", name=owner)
    for said in ({"call": ["/", "a.b", "C", [1]], "type": "s", "id": "1"}, {"unpublish": ["/", "a.b"], "id": "2"}):
        front.send(channel, json.dumps(said).encode())
    front.expect("ready", channel)
    told = [json.loads(front.take(lambda frame: frame.channel == channel, "a message").payload) for _ in range(3)]
    assert told[0] == {"owner": owner}
    assert [each["id"] for each in told[1:]] == ["1", "2"]


def test_a_service_that_is_started(bus: PrivateBus, start: Start) -> None:
    (bus.directory / "waiter.py").write_text(WAITER)
    (bus.services / "waiter.service").write_text(
        f"[D-BUS Service]\nName=com.example.Waiter\nExec={sys.executable} {bus.directory}/waiter.py\n"
    )
    (bus.services / "broken.service").write_text("[D-BUS Service]\nName=com.example.Broken\nExec=/bin/false\n")
    front = start(environ=bus.environ).front_end
    front.open("broken", "dbus-json3", bus="session", name="com.example.Broken")
    assert front.expect("close", "broken", problem="not-found")["message"]
    client = connect(front, "com.example.Waiter")
    assert client.ask({"call": ["/", "org.freedesktop.DBus.Peer", "Ping", []]}) == {"reply": [None]}


def test_channels_of_a_group_share_a_connection(bus: PrivateBus, serve: Serve, start: Start) -> None:
    serve(bus, Tree({}))
    bridge = start(environ=bus.environ)
    front = bridge.front_end

    def name(channel: str, **options: Any) -> str:
        front.open(channel, "dbus-json3", **{"bus": "session", **options})
        found: str = front.expect("ready", channel)["unique-name"]
        return found

    first = name("a")
    assert name("b") == first
    assert name("c", name=NAME) == first
    assert name("d", group="g") != first
    assert name("e", group="g") == name("f", group="g") != first
    assert name("g", bus="system") not in (first, "")
    front.close("a")
    front.close("b")
    front.close("c")
    assert name("h") == first  # it is kept for a while


def test_nothing_is_left_of_many_channels(bus: PrivateBus, serve: Serve, start: Start) -> None:
    serve(bus, Tree({"/a": {"a.b": {}}}))
    bridge = start(environ=bus.environ)
    front = bridge.front_end
    first = connect(front)
    assert first.waiting() == []
    before = descriptors_of(bridge.pid)
    for number in range(20):
        client = connect(front, address=bus.address, bus="none")
        client.say({"watch": {}, "id": "1"})
        client.say({"add-match": {"member": f"M{number}"}})
        front.close(client.channel)
    assert first.waiting() == []
    assert descriptors_of(bridge.pid) == before


def test_a_channel_that_closes_before_it_is_there(bus: PrivateBus, serve: Serve, start: Start) -> None:
    serve(bus, Tree({}))
    bridge = start(environ=bus.environ)
    front = bridge.front_end
    for number in range(20):
        front.open(f"c{number}", "dbus-json3", bus="session", name=NAME)
        front.close(f"c{number}")
    client = connect(front)
    assert client.ask({"call": ["/", "org.freedesktop.DBus.Introspectable", "Introspect", []]})["reply"]
    assert "unforeseen" not in bridge.log.text


def test_the_bus_library_is_not_loaded_for_the_internal_bus(start: Start) -> None:
    """Nor is the half for real buses."""
    bridge = start()
    bridge.front_end.open("internal", "dbus-json3", bus="internal")
    bridge.front_end.expect("ready", "internal")
    loaded = [line.split()[-1] for line in Path(f"/proc/{bridge.pid}/maps").read_text().splitlines() if "/" in line]
    assert not [each for each in loaded if "pyexpat" in each or "dbus_fast" in each]


def test_the_next_open_tries_anew(tmp_path: Path, start: Start, serve: Serve) -> None:
    directory = tmp_path / "late"
    directory.mkdir()
    bridge: Bridge = start(environ={"DBUS_SESSION_BUS_ADDRESS": f"unix:path={directory}/bus"})
    bridge.front_end.open("early", "dbus-json3", bus="session")
    bridge.front_end.expect("close", "early", problem="not-found")
    bus = PrivateBus(directory)
    try:
        bridge.front_end.open("late", "dbus-json3", bus="session")
        bridge.front_end.expect("ready", "late")
    finally:
        bus.stop()
