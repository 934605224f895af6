"""How many objects a watch reaches (`dbus_objects`), whatever they come by."""

from typing import Any

import pytest
from dbus_fast import Message, Variant

from spanbridge.testing.plugin import Start

from ..bus.client import ERROR, BusClient
from .conftest import Serve, connect, until
from .service import INTROSPECTABLE, MANAGER, PROPERTIES, Objects, PrivateBus, Service, Tree


def appear(service: Service, path: str, **properties: Variant) -> None:
    service.emit("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, {"a.b": properties})


def told_of(messages: list[Any]) -> list[str]:
    """The paths that were told of."""
    return [path for message in messages for path in message.get("notify", ())]


def test_objects_that_come(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """No more than a watch may reach; one for each that goes. Those that another watch has room for are told of."""
    tree = Tree({"/o1": {"a.b": {"P": Variant("u", 1)}}}, manager="/")
    service = serve(bus, tree)
    bridge = start(environ=bus.environ, limits={"dbus_objects": 3})
    client = connect(bridge.front_end)
    client.say({"watch": {}, "id": "all"})
    assert told_of(until(client, "all")) == ["/o1"]
    for number in range(1, 8):
        appear(service, f"/o{number}", P=Variant("u", number))
    service.round_trip()
    assert told_of(sync_with_service(client)) == ["/o2", "/o3"]
    for path in ("/o4", "/o2"):
        service.emit(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", "a.b", {"P": Variant("u", 9)}, [])
    assert told_of(sync_with_service(client)) == ["/o2"]
    service.emit("/", MANAGER, "InterfacesRemoved", "oas", "/o1", ["a.b"])
    for number in (8, 9):
        appear(service, f"/o{number}")
    assert told_of(sync_with_service(client)) == ["/o1", "/o8"]
    assert len(bridge.log.matches("limit name=dbus_objects value=3")) == 1
    other = connect(bridge.front_end)
    for number, watch in enumerate(({"path": "/p"}, {"path_namespace": "/q"})):
        other.say({"watch": watch, "id": number})
        until(other, number)
    for path in ("/p", "/q/1", "/r", "/q/2", "/q/3", "/q/4"):
        appear(service, path)
    assert told_of(sync_with_service(other)) == ["/p", "/q/1", "/q/2", "/q/3"]
    other.say({"watch": {"path_namespace": "/"}, "id": "whole"})
    assert until(other, "whole")


def sync_with_service(client: BusClient) -> list[Any]:
    """All messages up to the answer of the service to what is said now, but for that."""
    client.say({"call": ["/", "a.b", "Quick", []], "type": "", "id": "quick"})
    return until(client, "quick")[:-1]


def test_objects_that_come_before_those_that_are_there(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Together they are too many."""
    objects = {f"/o{number}": {"a.b": {"P": Variant("u", 1)}} for number in range(3)}
    tree = Tree(objects, manager="/")

    def answer(service: Service, message: Message) -> Message | None:
        if message.member == "GetManagedObjects":
            appear(service, "/early")
        return tree(service, message)

    serve(bus, answer)
    bridge = start(environ=bus.environ, limits={"dbus_objects": 3})
    client = connect(bridge.front_end)
    client.say({"watch": {}, "id": "all"})
    assert until(client, "all")[-1]["error"][0] == ERROR + "LimitsExceeded"
    assert len(bridge.log.matches("limit name=dbus_objects value=3")) == 1


@pytest.mark.parametrize("member", ["PropertiesChanged", "Said"])
def test_objects_that_come_up_in_signals(bus: PrivateBus, serve: Serve, start: Start, member: str) -> None:
    """Those for which there is no room are not even asked."""
    paths = [f"/o{number}" for number in range(8)]
    tree = Tree({path: {"a.b": {"P": Variant("u", 1)}} for path in paths})
    tree.xml["/"] = "<node/>"
    service = serve(bus, tree)
    bridge = start(environ=bus.environ, limits={"dbus_objects": 3})
    client = connect(bridge.front_end)
    client.say({"add-match": {"interface": "a.b"}})
    assert client.ask({"watch": {}}) == {"reply": []}
    for path in paths:
        if member == "Said":
            service.emit(path, "a.b", member)
        else:
            service.emit(path, PROPERTIES, member, "sa{sv}as", "a.b", {"P": Variant("u", 2)}, [])
    assert told_of(sync_with_service(client)) == paths[:3]
    asked = [call.path for call in service.calls if call.interface == INTROSPECTABLE]
    assert asked == ["/", *paths[:3]]
    assert len(bridge.log.matches("limit name=dbus_objects value=3")) == 1


def test_objects_that_say_what_is_below_them(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """No more are asked once there are too many."""
    objects: Objects = {f"/a{high}/b{low}": {"a.b": {}} for high in range(100) for low in range(3)}
    service = serve(bus, Tree(objects))
    bridge = start(environ=bus.environ, limits={"dbus_objects": 150})
    client = connect(bridge.front_end)
    assert client.ask({"watch": {}})["error"][0] == ERROR + "LimitsExceeded"
    asked = [call.path for call in service.calls if call.interface == INTROSPECTABLE]
    assert len(asked) == 1 + 64
    assert len(bridge.log.matches("limit name=dbus_objects value=150")) == 1


def test_objects_that_come_up_while_others_are_asked(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """What is to be asked grows no further than what a watch may reach."""
    tree = Tree({})
    tree.xml["/"] = "<node/>"

    def answer(service: Service, message: Message) -> Message | None:
        if message.member == "Introspect" and message.path == "/":
            for number in range(8):
                service.emit(f"/o{number}", "a.b", "Said")
        return tree(service, message)

    service = serve(bus, answer)
    bridge = start(environ=bus.environ, limits={"dbus_objects": 3})
    client = connect(bridge.front_end)
    client.say({"add-match": {"interface": "a.b"}})
    client.say({"watch": {}, "id": "all"})
    assert until(client, "all")[-1]["error"][0] == ERROR + "LimitsExceeded"
    assert [call.path for call in service.calls if call.interface == INTROSPECTABLE] == ["/"]
