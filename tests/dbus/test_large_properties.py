"""Properties that make a large message, which is read a piece at a time (docs/dbus.md, "Watches")."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dbus_fast import Variant

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.bus import kept as kept_module
from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus import properties
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


class Watcher:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def describe(self, name: str | None, metas: dict[str, Any]) -> None:
        """Nothing is known of them."""

    def notify(self, name: str | None, told: Any) -> None:
        self.told.append({interface: json.loads(text) for interface, text in told["/o"].items()})


def handled(values: dict[str, Any], changes: list[dict[str, Any]]) -> tuple[int, list[Any], Any]:
    """Of an object with these properties, of which these then change: the bytes of JSON that are read or written for
    the changes, what is told, and what is kept in the end."""
    services = SimpleNamespace(context=SimpleNamespace(loop=SimpleNamespace(time=bool), limits=Limits(), log=Log()))
    services.tasks = None
    trees, watcher = Trees(), Watcher()
    tree = trees.add(Watch(None, "/", None))
    told = SimpleNamespace(is_set=lambda: True)
    tree.told[cast(Any, watcher)] = cast(Any, told)
    kept = Kept(None, trees, cast(Any, SimpleNamespace(metas={})), cast(Any, services))
    kept.update("/o", I, values, whole=True)
    watcher.told.clear()
    count = 0

    def counted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def count_and_call(given: Any) -> Any:
            nonlocal count
            result = function(given)
            count += sum(len(each) for each in (given, result) if isinstance(each, bytes))
            return result

        return count_and_call

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((properties, "_join"), (properties, "_split"), (properties, "_decode")):
            patch.setattr(module, name, counted(getattr(module, name)))
        patch.setattr(kept_module, "_text", counted(kept_module.__dict__["_text"]))
        for change in changes:
            kept.update("/o", I, change)
    (piece,) = filter(None, kept._steps(tree))
    return count, watcher.told, json.loads(cast(bytes, piece["/o"][I]))


@pytest.mark.parametrize("values", [{"One": "x" * 1_000_000}, {f"P{number}": number for number in range(20_000)}])
def test_a_small_change_is_no_work_for_the_large(values: dict[str, Any]) -> None:
    small = {"N": 0, "M": {"a": 1, "b": [1.0]}}
    changes: list[dict[str, Any]] = [
        {"N": 1},
        {"N": 1},
        {"M": {"b": [1.0], "a": 1}},
        {"M": {"a": 2}},
        {"N": True, "New": None},
    ]
    last = {"N": True, "M": {"a": 2}, "New": None}
    told = [{I: each} for each in ({"N": 1}, changes[3], changes[4])]
    count, *found = handled({**values, **small}, changes)
    assert found == [told, {**values, **last}]
    assert found[1]["N"] is True
    assert 0 < count < 1_000
    assert handled(small, changes)[1:] == (told, last)


def test_what_grows_large_by_changes() -> None:
    """One after the other; a whole that is smaller is kept as a small one."""
    changes = [{f"P{number}": "x" * 10_000} for number in range(10)]
    count, told, last = handled({"N": 0}, changes)
    assert told == [{I: each} for each in changes]
    assert len(last) == 11
    more, *_ = handled(last, [{"N": 1}])
    assert more < 100 < count
