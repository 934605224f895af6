"""A client of a bridge."""

from collections.abc import Callable

import pytest

from spanbridge.testing.start import Start

from .client import Client

Ask = Callable[[], Client]


@pytest.fixture
def ask(start: Start) -> Ask:
    """Starts a bridge on the packages that there are by then; a client of it."""
    return lambda: Client(start().front_end)
