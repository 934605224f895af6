"""One wheel for all tests of this directory, and environments that it is installed into, without the network."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from ..docs.pages import ROOT

Install = Callable[[Path], Path]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(directory), str(ROOT))
    (built,) = directory.glob("spanbridge-*.whl")
    return built


@pytest.fixture(scope="session")
def install(wheel: Path) -> Install:
    """Makes a virtual environment with our wheel; what it depends on is lent by the one that runs the tests."""

    def make(directory: Path) -> Path:
        venv.create(directory, symlinks=True, with_pip=False)
        pip("--python", str(directory), "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel))
        (site,) = directory.glob("lib/python*/site-packages")
        (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        return directory / "bin"

    return make


@pytest.fixture(scope="session")
def binaries(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the commands of one such environment."""
    return install(tmp_path_factory.mktemp("installed") / "venv")


def pip(*arguments: str) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
