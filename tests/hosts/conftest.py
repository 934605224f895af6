"""A farm for all tests of one run, and bridges that run beside it as a user of it."""

import os
import shutil
from collections.abc import Iterator
from functools import partial

import pytest

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start, starting

from ..missing import lack
from .farm import Farm, farm
from .personas import personas, tools

_NEEDED = {
    "/usr/sbin/sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-agent": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "cc": "gcc",
    "fish": "fish",
    "tcsh": "tcsh",
    "csh": "csh or tcsh",
    "zsh": "zsh",
}


@pytest.fixture(scope="session")
def sshd_farm() -> Iterator[Farm]:
    """Skips what needs it where it cannot be."""
    if os.geteuid() != 0:
        lack("needs uid 0, for namespaces with users of their own")
    missing = sorted({package for program, package in _NEEDED.items() if shutil.which(program) is None})
    if missing:
        lack(f"not installed: {', '.join(missing)}")
    with farm(partial(personas, SPANBRIDGE), tools) as made:
        yield made


@pytest.fixture
def other(sshd_farm: Farm) -> Farm:
    """The farm, whose hosts the front's user knows by their key; it has no key of its own, and no configuration."""
    sshd_farm.forget()
    sshd_farm.trust()
    return sshd_farm


@pytest.fixture
def begin(other: Farm) -> Iterator[Start]:
    """Starts bridges as the front's user, in the namespaces of the farm."""
    home = Home(other.new_front())
    other.give(home.root)
    with starting(home, [*other.command, str(SPANBRIDGE)]) as start:
        yield start
    shutil.rmtree(home.root)
