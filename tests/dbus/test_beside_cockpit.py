"""The same messages to spanbridge and to the C cockpit-bridge, about the same service on the same bus.

What differs on purpose is taken out by `comparable` (docs/dbus.md, "Differences").
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from dbus_fast import Message, Variant

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home

from ..browser.parts import COCKPIT_BRIDGE, require
from ..bus.client import BusClient
from .conftest import until
from .service import PrivateBus, Service, Tree, private_bus
from .test_calls import error

pytestmark = pytest.mark.cockpit

NAME = "com.example.Beside"
I = "com.example.I"  # noqa: E741


def tree() -> Tree:
    found = Tree(
        {
            "/a": {I: {"N": Variant("u", 1), "S": Variant("s", "x")}},
            "/a/b": {"com.example.J": {"D": Variant("d", 0.5)}},
        },
        methods={
            (I, "Echo"): ("s", "s", lambda text: [text]),
            (I, "Nothing"): ("", "", list),
            (I, "Fail"): ("", "", lambda: error("why", name="com.example.Error")),
            (I, "Types"): (
                "y n q i u x t d b s o g ay a{sv}",
                "y n q i u x t d b s o g ay a{sv}",
                lambda *values: list(values),
            ),
        },
    )
    found.signals = {I: [("Said", "s")]}
    return found


class Pair:
    def __init__(self, ours: BusClient, theirs: BusClient, service: Service, tree: Tree) -> None:
        self.both = (ours, theirs)
        self.service = service
        self.tree = tree

    def check_alike(self, message: dict[str, Any]) -> Any:
        found = []
        for client in self.both:
            client.say({**message, "id": "1"})
            found.append(comparable(until(client, "1")))
        assert found[0] == found[1], message
        return found[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    require(COCKPIT_BRIDGE)
    with ExitStack() as stack:
        bus: PrivateBus = stack.enter_context(private_bus(tmp_path_factory.mktemp("bus")))
        objects = tree()
        service = Service(bus.address, NAME, objects)
        stack.callback(service.stop)
        clients = []
        for name, command in (("ours", str(SPANBRIDGE)), ("theirs", COCKPIT_BRIDGE)):
            environ = {**bus.environ, "SSH_AUTH_SOCK": "/no-agent"}
            home = Home(tmp_path_factory.mktemp(name))
            front = stack.enter_context(Bridge(home, environ=environ, command=[command])).front_end
            front.expect("init", version=1)
            front.init()
            client = BusClient(front, bus="session", name=NAME)
            assert client.next() == {"owner": service.unique_name}
            clients.append(client)
        yield Pair(clients[0], clients[1], service, objects)


def comparable(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is told of nothing, and what is said for people. Theirs have `type` in errors, too."""
    found = []
    for message in messages:
        if "notify" in message:
            told = {
                path: {i: each for i, each in interfaces.items() if each}
                for path, interfaces in message["notify"].items()
            }
            message = {"notify": {path: interfaces for path, interfaces in told.items() if interfaces}}
            if not message["notify"]:
                continue
        elif "error" in message and message["error"][0].startswith("org.freedesktop.DBus.Error."):
            message = {"error": message["error"][0], "id": message["id"]}
        elif "error" in message:
            message.pop("type", None)
        found.append(message)
    return found


def call(member: str, *arguments: Any, **members: Any) -> dict[str, Any]:
    return {"call": ["/a", I, member, list(arguments)], **members}


VALUES = [
    255,
    -32768,
    65535,
    -5,
    5,
    -(2**40),
    2**40,
    0.25,
    True,
    "ä",
    "/p",
    "a{sv}",
    "AP8=",
    {"k": {"t": "as", "v": ["x"]}, "e": {"t": "a{is}", "v": {"-1": "y"}}},
]


@pytest.mark.parametrize(
    "message",
    [
        call("Echo", "x"),
        call("Echo", "x", type="s"),
        call("Echo", "x", type="s", flags=""),
        call("Echo", "x", flags="i"),
        call("Nothing"),
        call("Fail"),
        call("Nope"),
        call("Nope", 1),
        call("Echo"),
        call("Echo", "x", "y"),
        call("Echo", 5),
        call("Echo", "x", type="u"),
        call("Echo", "x", name="com.example.Nobody", type="s"),
        call("Types", *VALUES),
        {
            "call": ["/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", [NAME]],
            "name": "org.freedesktop.DBus",
        },
        {"call": ["/a", "org.freedesktop.DBus.Properties", "GetAll", [I]], "type": "s"},
        {"call": ["/a", "org.freedesktop.DBus.Properties", "Get", [I, "S"]], "type": "ss"},
    ],
    ids=lambda message: json.dumps(message)[:70],
)
def test_calls(pair: Pair, message: dict[str, Any]) -> None:
    pair.check_alike(message)


@pytest.mark.parametrize(
    "watch",
    [{"path": "/a"}, {"path": "/a", "interface": I}, {"path": "/nowhere"}, {"path": "/a", "interface": "no.such"}],
    ids=str,
)
def test_watches(pair: Pair, watch: dict[str, str]) -> None:
    """Each on a channel of its own: what was told on one is not told there again by theirs."""
    found = []
    for client in pair.both:
        fresh = BusClient(client.front, f"of-{watch}", bus="session", name=NAME, group=json.dumps(watch))
        fresh.next()
        fresh.say({"watch": watch, "id": "1"})
        found.append(comparable(until(fresh, "1")))
        client.front.close(fresh.channel)
    assert found[0] == found[1]


def test_changes_and_signals(pair: Pair) -> None:
    found = []
    for client in pair.both:
        client.say({"watch": {"path": "/a/b"}, "id": "w"})
        until(client, "w")
        client.say({"add-match": {"interface": I}})
        client.ask(call("Nothing"))
    pair.service.send(Message.new_signal("/a", I, "Said", "s", ["one"]))
    pair.tree.change(pair.service, "/a/b", "com.example.J", D=Variant("d", 1.5))
    pair.service.send(Message.new_signal("/a", I, "Said", "s", ["two"]))
    pair.service.round_trip()
    for client in pair.both:
        client.say({**call("Nothing"), "id": "end"})
        found.append(comparable(until(client, "end")))
    assert found[0] == found[1]
    assert len(found[0]) == 4


@pytest.mark.parametrize(
    "message",
    [
        {"call": ["nopath", I, "M", []]},
        {"call": ["/a", None, "M", []]},
        {"call": ["/a", I, "M.M", []]},
        {"call": ["/a", I, "M", []], "type": "z"},
        {"add-match": {"path": "nopath"}},
        {"add-match": {"interface": "x"}},
        {"add-match": {"path": "/a", "path_namespace": "/a"}},
        {"watch": {"path": "nopath"}},
        {"publish": ["/x", "not.described"]},
        {"signal": ["/x", "not.described", "S", [1]]},
        {"unheard-of": 1},
    ],
    ids=lambda message: json.dumps(message)[:70],
)
def test_what_closes_the_channel(pair: Pair, message: Any) -> None:
    for client in pair.both:
        other = BusClient(client.front, f"closes-{message}", bus="session", name=NAME)
        other.next()
        other.say(message)
        client.front.expect("close", other.channel, problem="protocol-error")


def test_opens(pair: Pair) -> None:
    for client in pair.both:
        front = client.front
        front.open("nobody", "dbus-json3", bus="session", name="com.example.Nobody")
        front.expect("close", "nobody", problem="not-found")
        assert front.commands("nobody") == ["data", "close"]
        front.open("bare", "dbus-json3", bus="session")
        assert front.expect("ready", "bare")["unique-name"] == client.ready["unique-name"]
        front.close("bare")
