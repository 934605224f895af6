"""Clients of the bus of a bridge."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from .client import BusClient


@pytest.fixture
def bus(start: Start) -> Callable[..., BusClient]:
    """Starts a bridge, with these arguments of `start`; a client of its bus."""

    def open_bus(**arguments: Any) -> BusClient:
        return BusClient(start(**arguments).front_end)

    return open_bus


@pytest.fixture(scope="module")
def shared_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One bridge for the many tests of a module that leave no trace in it."""
    with Bridge(Home(tmp_path_factory.mktemp("shared"))) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        yield bridge


@pytest.fixture
def shared_front(shared_bridge: Bridge) -> FrontEnd:
    return shared_bridge.front_end


_numbers = count()


@pytest.fixture
def channel() -> str:
    """An id that no other test uses."""
    return f"channel-{next(_numbers)}"


@pytest.fixture
def client(shared_front: FrontEnd, channel: str) -> Iterator[BusClient]:
    """A client of the bus of the shared bridge."""
    client = BusClient(shared_front, channel)
    yield client
    shared_front.close(channel)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
