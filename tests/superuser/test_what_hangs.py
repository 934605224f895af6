"""What is asked to see which privileged bridges there are, and does not answer, ends with whoever asked."""

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from spanbridge.helpers.offered import offer
from spanbridge.manifests.model import Rule
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import SECONDS

from ..hung_mount import hung_mount, is_stuck
from .site import Site

ALL = "sleep 100000 & exec sleep 100000"
ONE_THAT_STAYS = "sleep 100000 & echo 'no such option'"


class Sudo(NamedTuple):
    """It says a byte once it runs; the other side of its pipe is closed when nobody is left of it."""

    path: Path
    heard: int

    def write(self, does: str) -> None:
        self.path.write_text(f"#!/bin/sh\nexec 5>{self.path.parent}/pipe\necho >&5\n{does}\n")
        self.path.chmod(0o755)

    def runs(self) -> None:
        assert self._read() == b"\n"

    def is_gone(self) -> None:
        assert self._read() == b""

    def _read(self) -> bytes:
        assert select.select([self.heard], [], [], SECONDS)[0], "nothing has happened"
        return os.read(self.heard, 100)


@pytest.fixture
def sudo(directory: Path) -> Iterator[Sudo]:
    place = directory / "sudo-place"
    place.mkdir()
    os.mkfifo(place / "pipe")
    (place / "pipe").chmod(0o666)
    heard = os.open(place / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield Sudo(place / "sudo", heard)
    os.close(heard)


def asked(site: Site, sudo: Sudo, seconds: float) -> Bridge:
    rule = {"privileged": True, "spawn": [str(sudo.path), "-A", "true"]}
    return site.start(rule, limits={"sudo_seconds": seconds}, superuser={"id": "any"})


def test_a_sudo_ends_with_the_session(site: Site, sudo: Sudo) -> None:
    sudo.write(ALL)
    bridge = asked(site, sudo, 100_000)
    sudo.runs()
    assert bridge.end() == 0
    sudo.is_gone()


def test_a_sudo_ends_with_a_bridge_that_is_killed(site: Site, sudo: Sudo) -> None:
    sudo.write(ALL)
    bridge = asked(site, sudo, 100_000)
    sudo.runs()
    bridge.front_end.sync()  # the watchdog has been told of it
    bridge.signal(signal.SIGKILL)
    bridge.wait()
    sudo.is_gone()


@pytest.mark.parametrize("does", [ALL, ONE_THAT_STAYS])
def test_it_has_its_time_and_so_has_what_it_starts(site: Site, sudo: Sudo, does: str) -> None:
    sudo.write(does)
    bridge = asked(site, sudo, 0.2)
    sudo.runs()
    sudo.is_gone()
    bridge.front_end.expect("superuser-init-done")
    assert bridge.end() == 0


@pytest.mark.parametrize(("does", "why"), [(ALL, "took more than"), (ONE_THAT_STAYS, "does not speak of askpass")])
def test_of_the_tools_as_well(sudo: Sudo, does: str, why: str) -> None:
    sudo.write(does)
    rule = Rule(package="test", position=0, source="", match=None, spawn=(str(sudo.path),), privileged=True)
    offered, ((_, told),) = offer([rule], os.environ, 0.5)
    assert offered == {}
    assert why in told
    sudo.runs()
    sudo.is_gone()


@pytest.mark.root
def test_a_directory_on_a_file_system_that_hangs(site: Site, directory: Path) -> None:
    with hung_mount(directory / "hung") as hung:
        bridge = site.start(site.privileged([], directory=str(hung / "in")), superuser={"id": "any"})
        while not is_stuck(bridge.pid):
            bridge.front_end.sync()
        assert bridge.end() == 0
