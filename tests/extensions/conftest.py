"""A site for each test."""

from collections.abc import Iterator

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.start import Start, starting

from .site import Site


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, spanbridge_command: list[str]) -> Iterator[Site]:
    """One for all tests of a module: a start costs more than most of them."""
    home = Home(tmp_path_factory.mktemp("shared") / "home")
    with starting(home, spanbridge_command) as start:
        site = Site(home, start)
        yield site
        assert "unforeseen" not in site.log, site.log


@pytest.fixture
def site(home: Home, start: Start) -> Iterator[Site]:
    site = Site(home, start)
    yield site
    assert "unforeseen" not in site.log, site.log
