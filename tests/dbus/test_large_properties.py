"""Properties that make a large message, which is read a piece at a time (docs/dbus.md, "Watches")."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from dbus_fast import Variant

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.changes import Changes
from spanbridge.payloads.bus.kept import Kept
from spanbridge.payloads.bus.matches import Watch
from spanbridge.payloads.bus.meta import OBJECT_MANAGER, PROPERTIES
from spanbridge.payloads.bus.signature import Variant as Ours
from spanbridge.payloads.bus.trees import Trees

from ..bus.client import BusClient
from .conftest import Open, Serve, until
from .service import MANAGER, PrivateBus, Tree

I = "a.b"  # noqa: E741
NAME = "com.example.Large"


def large(text: str, count: int = 3_000) -> dict[str, Variant]:
    return {f"Property{number}": Variant("s", f"{text} {number} {'x' * 40}") for number in range(count)}


def told(properties: dict[str, Variant]) -> dict[str, Any]:
    return {name: value.value for name, value in properties.items()}


def next_notify(client: BusClient) -> Any:
    while "notify" not in (message := client.next()):
        pass
    return message["notify"]


@pytest.mark.parametrize("manager", [None, "/"])
def test_they_are_told_as_small_ones_are(
    shared_bus: PrivateBus, serve: Serve, open_bus: Open, manager: str | None
) -> None:
    tree = Tree({"/one": {I: large("first")}}, manager=manager)
    service = serve(shared_bus, tree, NAME)
    client = open_bus(NAME)
    client.say({"watch": {}, "id": "all"})
    (found,) = [each["notify"] for each in until(client, "all") if "notify" in each]
    assert found == {"/one": {I: told(large("first"))}}
    service.emit("/one", PROPERTIES, "PropertiesChanged", "sa{sv}as", I, large("second"), [])
    tree.change(service, "/one", I, Small=Variant("u", 1))
    assert next_notify(client) == {"/one": {I: told(large("second"))}}
    assert next_notify(client) == {"/one": {I: {"Small": 1}}}
    service.emit("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/two", {I: large("third")})
    service.emit("/", MANAGER, "InterfacesRemoved", "oas", "/two", [f"a.c{number}" for number in range(10_000)] + [I])
    assert next_notify(client) == {"/two": {I: told(large("third"))}}
    assert next_notify(client) == {"/two": {I: None}}


@pytest.mark.parametrize(
    ("interface", "member", "signature", "values"),
    [
        (PROPERTIES, "PropertiesChanged", "sa{sv}as", [I, {"P": Ours("s", "x" * 100_000)}, []]),
        (OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", ["/o", {I: {"P": Ours("s", "x" * 100_000)}}]),
        (OBJECT_MANAGER, "InterfacesRemoved", "oas", ["/o", [I] * 10_000]),
    ],
)
def test_they_wait_for_their_turn(interface: str, member: str, signature: str, values: list[Any]) -> None:
    """What they change is for later; nothing is read of those that nobody has asked for."""
    context = SimpleNamespace(loop=SimpleNamespace(time=lambda: 0.0), limits=Limits(), log=Log())
    services = SimpleNamespace(context=context, tasks=None)
    descriptions: Any = SimpleNamespace(metas={I: None})
    trees = Trees()
    kept = Kept(None, trees, descriptions, cast(Any, services))
    changes = Changes(cast(Any, SimpleNamespace(services=services)), None, trees, kept, descriptions)
    heeded = wire.signal("/o", interface, member, signature, values)
    if member != "InterfacesRemoved":
        assert changes.heed(heeded) is None
    trees.add(Watch(None, "/", None))
    waiting: Any = changes.heed(heeded)
    assert waiting is not None
    waiting.close()
