"""A bridge for all tests of a module, and servers of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from .client import Client
from .server import Server, tcp_server, unix_server


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    return start_shared()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """On a unix socket."""
    with unix_server(tmp_path / "server") as made:
        yield made


@pytest.fixture
def tcp() -> Iterator[Server]:
    with tcp_server() as made:
        yield made


@pytest.fixture
def client(bridge: Bridge, server: Server) -> Client:
    """Asks `server`."""
    return Client(bridge.front_end, server)
