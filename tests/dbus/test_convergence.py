"""Whatever happens on a bus, in whatever order: in the end a channel has told what is so, and has answered every call
once. Each seed is one play of watches, calls, changes, objects that come and go, and names that change hands."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from dbus_fast import Message, Variant

from ..bus.client import BusClient
from .conftest import Open, Serve, sync
from .service import MANAGER, PrivateBus, Service, Tree

NAME = "com.example.Player"
INTERFACES = ("com.example.I", "com.example.J")
PATHS = ("/a", "/a/b", "/a/c", "/d", "/d/e/f")
WATCHES: tuple[dict[str, str], ...] = (
    {},
    {"path_namespace": "/a"},
    {"path_namespace": "/d", "interface": INTERFACES[1]},
    {"path": "/a"},
    {"path": "/d", "interface": INTERFACES[0]},
)
STEPS = 60

Key = tuple[str, str]  # path and interface
Step = Callable[[Service], None]


class Player:
    """A service that does each step in its own thread, as it answers calls: a service contradicts itself nowhere."""

    def __init__(self, serve: Serve, bus: PrivateBus, name: str | None) -> None:
        self.tree = Tree({path: {INTERFACES[0]: _values(0)} for path in PATHS[:3]}, manager="/")
        self._steps: list[Step] = []
        self.service = serve(bus, self._heed, name)

    def _heed(self, service: Service, message: Message) -> Message | None:
        if message.member == "Step":
            self._steps[message.body[0]](service)
        elif message.member != "Echo":
            return self.tree(service, message)
        return Message.new_method_return(message, message.signature, message.body)

    def step(self, driver: Service, step: Step) -> None:
        """Have it done, later."""
        self._steps.append(step)
        number = len(self._steps) - 1
        driver.later(Message(self.service.unique_name, "/", "com.example.Steps", "Step", signature="u", body=[number]))

    def change(self, path: str, interface: str, number: int, invalid: bool) -> Step:
        def change(service: Service) -> None:
            if interface in self.tree.objects.get(path, {}):
                invalidated = ("N",) if invalid else ()
                self.tree.change(service, path, interface, invalidated, **_values(number))

        return change

    def add(self, path: str, interface: str, number: int) -> Step:
        def add(service: Service) -> None:
            interfaces = self.tree.objects.setdefault(path, {})
            if interface not in interfaces:
                interfaces[interface] = _values(number)
                told = {interface: interfaces[interface]}
                service.emit("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, told)

        return add

    def remove(self, path: str, interface: str) -> Step:
        def remove(service: Service) -> None:
            interfaces = self.tree.objects.get(path, {})
            if interfaces.pop(interface, None) is not None:
                service.emit("/", MANAGER, "InterfacesRemoved", "oas", path, [interface])
            if not interfaces:
                self.tree.objects.pop(path, None)

        return remove

    def values(self) -> dict[Key, dict[str, Any]]:
        return {
            (path, interface): {name: value.value for name, value in values.items()}
            for path, interfaces in self.tree.objects.items()
            for interface, values in interfaces.items()
        }


def _values(number: int) -> dict[str, Variant]:
    return {"N": Variant("u", number), "S": Variant("s", "x" * (number % 7))}


class Page:
    """What a front end knows from what it was told."""

    def __init__(self, client: BusClient, owner: str | None) -> None:
        self.client = client
        self.owner = owner
        self.watches: list[dict[str, str]] = []
        self.values: dict[Key, dict[str, Any]] = {}
        self.answered: list[int] = []

    def take(self, message: dict[str, Any]) -> None:
        if "owner" in message:
            self.owner = message["owner"]
        for path, interfaces in message.get("notify", {}).items():
            for interface, values in interfaces.items():
                if values is None:
                    self.values.pop((path, interface), None)
                else:
                    self.values.setdefault((path, interface), {}).update(values)
        if isinstance(message.get("id"), int):
            self.answered.append(message["id"])
            assert message.get("reply", [[message["id"]]]) == [[message["id"]]]

    def catch_up(self) -> bool:
        """Take all that was told by now; whether that was anything."""
        told = sync(self.client)
        for each in told:
            self.take(each)
        return bool(told)

    def watch(self, watch: dict[str, str]) -> None:
        self.client.say({"watch": watch})
        self.watches.append(watch)

    def unwatch(self, watch: dict[str, str]) -> None:
        """What is not watched any more is forgotten: it would be told anew."""
        self.client.say({"unwatch": watch})
        self.watches.remove(watch)
        self.catch_up()
        self.values = self.watched(self.values)

    def watched(self, values: dict[Key, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
        return {key: each for key, each in values.items() if any(_covers(watch, *key) for watch in self.watches)}


def _covers(watch: dict[str, str], path: str, interface: str) -> bool:
    top = watch.get("path_namespace", "/")
    return (
        watch.get("path", path) == path
        and (top in ("/", path) or path.startswith(top + "/"))
        and watch.get("interface", interface) == interface
    )


@pytest.mark.parametrize("seed", range(12))
def test_in_the_end_it_has_told_what_is_so(seed: int, shared_bus: PrivateBus, serve: Serve, open_bus: Open) -> None:
    random = Random(seed)
    driver = serve(shared_bus, lambda service, message: None, None)
    players = [Player(serve, shared_bus, NAME), Player(serve, shared_bus, None)]
    page = Page(open_bus(NAME), players[0].service.unique_name)
    calls = 0
    for number in range(STEPS):
        player, path, interface = random.choice(players), random.choice(PATHS), random.choice(INTERFACES)
        match random.choices(range(8), (8, 4, 3, 2, 2, 1, 1, 6))[0]:
            case 0:
                player.step(driver, player.change(path, interface, number, random.random() < 0.3))
            case 1:
                player.step(driver, player.add(path, interface, number))
            case 2:
                player.step(driver, player.remove(path, interface))
            case 3:
                page.watch(random.choice(WATCHES))
            case 4 if page.watches:
                page.unwatch(random.choice(page.watches))
            case 5:
                player.service.own(NAME)
            case 6:
                player.service.disown(NAME)
            case _:
                page.client.say({"call": ["/", "com.example.E", "Echo", [calls]], "type": "u", "id": calls})
                calls += 1
    for player in players:
        driver.call(Message(player.service.unique_name, "/", "com.example.Steps", "Echo"))  # its steps are done
    owners = {each.service.unique_name: each for each in players}
    has_owner = driver.ask_bus("NameHasOwner", "s", NAME)[0]
    owner = driver.ask_bus("GetNameOwner", "s", NAME)[0] if has_owner else None
    truth = page.watched(owners[owner].values()) if owner is not None else {}
    came = True
    while came:
        came = page.catch_up()
        if (page.owner, page.watched(page.values), len(page.answered)) != (owner, truth, calls):
            page.take(page.client.next())  # something must still be on its way
            came = True
    assert sorted(page.answered) == list(range(calls))
