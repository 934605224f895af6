"""Channels of metrics, on a bridge of the module's, or on a machine of the test's own."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from .private_machine import PrivateMachine, private_machine
from .samples import Samples

Sampled = Callable[..., Samples]

_numbers = count()


@pytest.fixture(scope="module")
def shared_bridge(start_shared: Start) -> Bridge:
    """For the tests that leave no trace in it."""
    return start_shared()


@pytest.fixture
def sampled(shared_bridge: Bridge) -> Iterator[Sampled]:
    """Opens a channel on the shared bridge; all are closed after the test."""
    opened: list[Samples] = []

    def open_samples(*metrics: Any, **options: Any) -> Samples:
        opened.append(Samples(shared_bridge.front_end, *metrics, channel=f"channel-{next(_numbers)}", **options))
        return opened[-1]

    yield open_samples
    for samples in opened:
        samples.front.close(samples.channel)


@pytest.fixture
def machine(home: Home) -> Iterator[PrivateMachine]:
    with private_machine(home) as machine:
        yield machine
