"""The wheel and the source distribution: the same bytes each time, and from each other."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from spanbridge.installed import VERSION

from ..docs.pages import ROOT


def build(tree: Path, out: Path, *, umask: int = 0o022) -> dict[str, bytes]:
    """What `make dist` builds of a tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(
        command, cwd=tree, env={"PATH": "/usr/bin:/bin"}, umask=umask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def test_they_are_named_for_the_version(built: dict[str, bytes]) -> None:
    assert sorted(built) == [f"spanbridge-{VERSION}-py3-none-any.whl", f"spanbridge-{VERSION}.tar.gz"]


def test_they_are_the_same_byte_for_byte(built: dict[str, bytes], tmp_path: Path) -> None:
    assert build(ROOT, tmp_path, umask=0o077) == built


def test_the_source_distribution_gives_the_same(built: dict[str, bytes], tmp_path: Path) -> None:
    source = tmp_path / f"spanbridge-{VERSION}.tar.gz"
    source.write_bytes(built[source.name])
    # Debian 12's Python knows no filters yet, and newer ones want one.
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    shutil.unpack_archive(source, tmp_path, **options)
    assert build(tmp_path / f"spanbridge-{VERSION}", tmp_path / "again") == built


def test_a_tag_here_says_the_version() -> None:
    if not (ROOT / ".git").exists():
        return
    command = ["git", "tag", "--points-at", "HEAD", "v*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {f"v{VERSION}"}
