"""An installation that everybody can run, and a place for the bridges of one test."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ..dbus.service import PrivateBus, private_bus
from .installation import Installation, open_directory, ordinary_user
from .site import Site
from .system import Authority, Manage, Manager


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """The bridge where every user can run it."""
    root = open_directory(Path(tempfile.mkdtemp(prefix="spanbridge-installed-")))
    yield Installation(root)
    shutil.rmtree(root)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that every user may enter, which pytest's own are not."""
    root = open_directory(Path(tempfile.mkdtemp(prefix="spanbridge-site-")))
    yield root
    shutil.rmtree(root)


@pytest.fixture
def site(directory: Path, installation: Installation) -> Iterator[Site]:
    """A place for bridges of an ordinary user. They end with the test, and must leave nothing behind."""
    with ExitStack() as stack:
        yield Site(directory, installation, ordinary_user(), stack)


@pytest.fixture
def bus(directory: Path) -> Iterator[PrivateBus]:
    """A system bus that every user may join."""
    with private_bus(directory / "bus", kind="system") as bus:
        bus.socket.chmod(0o777)
        yield bus


@pytest.fixture
def manage(bus: PrivateBus, site: Site) -> Iterator[Manage]:
    managers: list[Manager] = []

    def begin(*arguments: Any) -> Manager:
        managers.append(Manager(bus.address, *arguments))
        return managers[-1]

    yield begin
    site.end()  # without systemd bridges wait some seconds for the end of what it has started
    for manager in managers:
        manager.stop()


@pytest.fixture
def authority(bus: PrivateBus) -> Iterator[Authority]:
    authority = Authority(bus.address)
    yield authority
    authority.stop()
