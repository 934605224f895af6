"""Watches through a bridge: `meta`, `notify`, then the answer (docs/internal-bus.md, "Watches")."""

from collections.abc import Callable
from typing import Any

from spanbridge.testing.plugin import Start

from .client import ERROR, BusClient

MACHINES = ("/machines", "cockpit.Machines")
VISIBLE = {"visible": {"t": "b", "v": True}}

META = {
    "methods": {"Update": {"in": ["s", "s", "a{sv}"], "out": []}},
    "properties": {"Machines": {"flags": "r", "type": "a{sa{sv}}"}},
    "signals": {},
}


def notify(machines: dict[str, Any]) -> dict[str, Any]:
    return {"notify": {"/machines": {"cockpit.Machines": {"Machines": machines}}}}


def update(client: BusClient, host: str) -> None:
    client.say({"call": [*MACHINES, "Update", ["test.json", host, VISIBLE]], "id": "update"})


def test_an_interface_is_described_before_it_is_told_of_and_once(client: BusClient) -> None:
    client.say({"watch": {"path": "/machines"}, "id": "1"})
    assert [client.next() for _ in range(3)] == [
        {"meta": {"cockpit.Machines": META}},
        notify({}),
        {"reply": [], "id": "1"},
    ]
    client.say({"watch": {"path": "/machines", "interface": "cockpit.Machines"}, "id": "2"})
    assert [client.next() for _ in range(2)] == [notify({}), {"reply": [], "id": "2"}]


def test_what_the_front_end_describes_itself_it_is_not_told(client: BusClient) -> None:
    client.say({"meta": {"cockpit.Machines": META}})
    client.say({"watch": {"path": "/machines"}, "id": "1"})
    assert [client.next() for _ in range(2)] == [notify({}), {"reply": [], "id": "1"}]


def test_a_change_is_told_once_however_often_it_is_watched(bus: Callable[..., BusClient]) -> None:
    client = bus()
    for watch in ({"path": "/machines"}, {"path": "/machines"}, {"path_namespace": "/"}, {}):
        client.say({"watch": watch})
    client.settle()
    update(client, "box")
    assert client.next() == notify({"box": VISIBLE})
    assert client.next() == {"reply": [[]], "id": "update"}


def test_a_watch_goes_when_it_is_taken_back_as_often(bus: Callable[..., BusClient]) -> None:
    client = bus()
    for message in ("watch", "watch", "unwatch"):
        client.say({message: {"path": "/machines"}})
    client.settle()
    update(client, "one")
    assert [next(iter(client.next())) for _ in range(2)] == ["notify", "reply"]
    client.say({"unwatch": {"path": "/machines"}})
    client.say({"unwatch": {"path": "/machines"}})
    update(client, "two")
    assert client.next() == {"reply": [[]], "id": "update"}
    client.say({"watch": {"path": "/machines"}, "id": "3"})
    assert client.next() == notify({"one": VISIBLE, "two": VISIBLE})


def test_each_channel_has_watches_of_its_own(start: Start) -> None:
    front = start().front_end
    watching, calling = BusClient(front, "watching"), BusClient(front, "calling")
    watching.say({"watch": {"path": "/machines"}})
    watching.settle()
    update(calling, "box")
    assert calling.next() == {"reply": [[]], "id": "update"}
    assert watching.next() == notify({"box": VISIBLE})
    assert calling.waiting() == []


def test_all_objects_at_once(client: BusClient) -> None:
    client.say({"watch": {"path_namespace": "/"}, "id": "1"})
    described, told = client.take("meta"), client.take("notify")
    assert client.next() == {"reply": [], "id": "1"}
    assert {"/machines", "/user", "/config", "/environment", "/LoginMessages", "/packages"} <= set(told)
    for path, interfaces in told.items():
        ((name, properties),) = interfaces.items()
        assert set(properties) == set(described[name]["properties"]), path
        for method in described[name]["methods"].values():
            assert set(method) == {"in", "out"}


def test_nothing_to_tell_is_answered_alike(client: BusClient) -> None:
    for watch in (
        {"path": "/"},
        {"path_namespace": "/nowhere"},
        {"path": "/user", "interface": "cockpit.Machines"},
        {"path": "/user", "path_namespace": "/machines"},
    ):
        assert client.ask({"watch": watch}) == {"reply": []}


def test_an_object_that_is_not_there(client: BusClient) -> None:
    name, _ = client.ask({"watch": {"path": "/nowhere"}})["error"]
    assert name == ERROR + "UnknownObject"


def test_a_match_alone_makes_an_object_speak(start: Start) -> None:
    """Nobody has called or watched it before."""
    bridge = start()
    client = BusClient(bridge.front_end)
    client.say({"add-match": {"path": "/packages", "member": "PropertiesChanged"}})
    client.settle()
    (bridge.log.path.parent / "data-home/cockpit/new").mkdir(parents=True)
    (bridge.log.path.parent / "data-home/cockpit/new/manifest.json").write_text("{}")
    bridge.reload()
    path, interface, member, (changed, values, invalidated) = client.take("signal")
    assert (path, interface, member) == ("/packages", "org.freedesktop.DBus.Properties", "PropertiesChanged")
    assert (changed, list(values), invalidated) == ("cockpit.Packages", ["Manifests"], [])
