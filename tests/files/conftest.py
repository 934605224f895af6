"""Files of a bridge."""

from collections.abc import Iterator

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from .client import Files


@pytest.fixture
def files(start: Start) -> Files:
    """Of a bridge of its own."""
    return Files(start().front_end)


@pytest.fixture(scope="module")
def shared_bridge(start_shared: Start) -> Bridge:
    return start_shared()


@pytest.fixture(scope="module")
def _shared_files(shared_bridge: Bridge) -> Files:
    return Files(shared_bridge.front_end)


@pytest.fixture
def shared(_shared_files: Files) -> Iterator[Files]:
    """Of one bridge for all tests of a module: for those that leave no trace in it."""
    yield _shared_files
    front_end = _shared_files.front_end
    front_end.sync()
    front_end.log.clear()
    front_end.pending.clear()
