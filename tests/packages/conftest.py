"""The kit's fixtures, and a client of a bridge."""

from collections.abc import Callable

import pytest

from bridge.testing.plugin import Start, home, start

from .client import Client

__all__ = ["ask", "home", "start"]

Ask = Callable[[], Client]


@pytest.fixture
def ask(start: Start) -> Ask:
    """Starts a bridge on the packages that there are by then; a client of it."""
    return lambda: Client(start().front_end)
