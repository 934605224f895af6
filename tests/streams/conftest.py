import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start

from .client import Client


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    return start_shared()


@pytest.fixture
def client(bridge: Bridge, request: pytest.FixtureRequest) -> Client:
    """One whose channels' ids are of this test's own."""
    return Client(bridge, str(request.node.name))
