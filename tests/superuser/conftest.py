"""An installation that everybody can run, and a place for the bridges of one test."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .installation import Installation, open_directory, ordinary_user
from .site import Site


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
