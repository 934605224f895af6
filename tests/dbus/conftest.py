"""A private bus, services on it, and a bridge that knows it."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.home import Home

from ..bus.client import BusClient
from .service import Handler, PrivateBus, Service, private_bus

NAME = "com.example.Test"
BUS = "org.freedesktop.DBus"
_numbers = count()


@pytest.fixture(scope="module")
def shared_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBus]:
    """One bus for all tests of a module."""
    with private_bus(tmp_path_factory.mktemp("bus")) as bus:
        yield bus


@pytest.fixture(scope="module")
def shared_bridge(shared_bus: PrivateBus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One bridge for all tests of a module."""
    with Bridge(Home(tmp_path_factory.mktemp("shared")), environ=shared_bus.environ) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        yield bridge


@pytest.fixture
def front(shared_bridge: Bridge) -> FrontEnd:
    return shared_bridge.front_end


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    """A bus for one test, which may do with it what it likes."""
    with private_bus(tmp_path / "bus") as bus:
        yield bus


Serve = Callable[..., Service]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Has a service join a bus."""
    services: list[Service] = []

    def join(bus: PrivateBus | str, handle: Handler, name: str | None = NAME) -> Service:
        services.append(Service(bus if isinstance(bus, str) else bus.address, name, handle))
        return services[-1]

    yield join
    for service in services:
        service.stop()


Open = Callable[..., BusClient]


@pytest.fixture
def channel() -> str:
    """An id that no other test uses."""
    return f"channel-{next(_numbers)}"


@pytest.fixture
def open_bus(front: FrontEnd) -> Iterator[Open]:
    """Opens a channel on the shared bus; the message about its owner was taken."""
    opened: list[BusClient] = []

    def open_bus(name: str | None = NAME, **options: Any) -> BusClient:
        client = connect(front, name, **options)
        opened.append(client)
        return client

    yield open_bus
    for client in opened:
        front.close(client.channel)


def connect(front: FrontEnd, name: str | None = NAME, **options: Any) -> BusClient:
    """A channel on the session bus, whose owner was told."""
    given = {} if name is None else {"name": name}
    client = BusClient(front, f"bus-{next(_numbers)}", **{"bus": "session", **given, **options})
    if name is not None:
        assert list(client.next()) == ["owner"]
    return client


def sync(client: BusClient) -> list[Any]:
    """All messages up to the answer of the bus to what was said last, which is left out."""
    ident = f"sync-{next(_numbers)}"
    client.say({"call": ["/", BUS, "GetId", []], "name": BUS, "type": "", "id": ident})
    return until(client, ident)[:-1]


def until(client: BusClient, ident: Any) -> list[Any]:
    """All messages up to the one with this id."""
    found = [client.next()]
    while found[-1].get("id") != ident:
        found.append(client.next())
    return found
