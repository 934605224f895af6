"""docs/dbus.md: what is exchanged there is exchanged."""

import json
import re
from typing import Any

import pytest
from dbus_fast import Message, Variant

from ..bus.client import BusClient
from ..docs.pages import DOCS, Block, blocks
from .conftest import Open, Serve
from .service import PrivateBus, Service, Tree

PAGE = DOCS / "dbus.md"
NAME = "com.example.Kettle"


class Kettle:
    """The service that the page speaks with, and what happens beside it."""

    def __init__(self, bus: PrivateBus, serve: Serve) -> None:
        self._bus = bus
        self._serve = serve
        self._tree = Tree(
            {"/kettle": {NAME: {"Degrees": Variant("u", 20)}}}, methods={(NAME, "Boil"): ("u", "s", self._boil)}
        )
        self._tree.signals = {NAME: [("Whistled", "s")]}
        self._service = serve(bus, self._tree, NAME)
        self._caller: Service | None = None
        self._answer: Any = None

    def _boil(self, degrees: int) -> list[str]:
        self._tree.objects["/kettle"][NAME]["Degrees"] = Variant("u", degrees)
        if degrees == 100:
            self._service.emit("/kettle", NAME, "Whistled", "s", "c")
        return ["it boils"]

    def happen(self, what: str, client: BusClient) -> None:
        if what == "the kettle is switched off":
            self._service.disown(NAME)
        elif what == "the kettle is switched on":
            self._service.own(NAME)
        elif what == "somebody calls Serve":
            self._caller = self._serve(self._bus, lambda service, message: None, None)
            name = client.ready["unique-name"]
            self._answer = self._caller.later(
                Message(name, "/cook", "com.example.Cook", "Serve", signature="s", body=["tea"])
            )
        else:
            assert what == "the caller has the answer"
            assert self._answer.result(10).body == [True]


def comparable(message: Any) -> Any:
    """Names of owners differ."""
    return json.loads(re.sub(r'":1\.[0-9]+"', '":1.0"', json.dumps(message)))


@pytest.mark.parametrize("block", blocks(PAGE, "text", "exchange"), ids=lambda block: block.name)
def test_exchanges(block: Block, shared_bus: PrivateBus, serve: Serve, open_bus: Open) -> None:
    kettle = Kettle(shared_bus, serve)
    front = open_bus(None).front
    client: BusClient | None = None
    for line in block.text.splitlines():
        sign, _, rest = line.partition(" ")
        if sign == "open":
            client = BusClient(front, f"docs-{block.line}", **json.loads(rest))
            continue
        assert client is not None
        match sign:
            case "<":
                assert comparable(client.next()) == comparable(json.loads(rest)), line
            case ">":
                client.say(json.loads(rest))
            case "-":
                kettle.happen(rest, client)
    assert client is not None
    assert client.waiting() == []
    front.close(client.channel)
