"""The bundle checksum: what it depends on, and what not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.manifests.model import Package
from spanbridge.payloads.packages.checksum import bundle_checksum
from spanbridge.payloads.packages.listing import list_files


def package(path: Path, **manifest: Any) -> Package:
    return Package(
        name=path.name,
        directory=path.name,
        path=str(path),
        priority=1,
        manifest=manifest,
        bridges=(),
        user=False,
        overrides=(),
    )


def checksum(*packages: Package) -> str:
    return bundle_checksum(packages, {each.path: list_files(each.path) for each in packages})


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        (path / "sub").mkdir(parents=True)
        (path / "a.js").write_text("a")
        (path / "sub" / "b.js").write_text("b")
        return path

    return make


def test_it_is_the_same_for_the_same_files_wherever_they_are(make: Callable[[str], Path]) -> None:
    first, second = checksum(package(make("x/p"))), checksum(package(make("y/p")))
    assert first == second
    assert len(first) == 64
    assert int(first, 16) >= 0


def test_it_does_not_depend_on_order(make: Callable[[str], Path]) -> None:
    packages = [package(make("p"), b=1, a=2), package(make("q"))]
    assert checksum(*packages) == checksum(*reversed(packages))
    assert checksum(package(make("x/p"), a=2, b=1)) == checksum(packages[0])


def rename(path: Path) -> None:
    (path / "a.js").rename(path / "b.js")


def change(path: Path) -> None:
    (path / "a.js").write_text("b")


def shift(path: Path) -> None:
    """Names and contents in a row are as before."""
    (path / "a.js").rename(path / "a.j")
    (path / "a.j").write_text("sa")


def add(path: Path) -> None:
    (path / "empty").touch()


def remove(path: Path) -> None:
    (path / "sub" / "b.js").unlink()


@pytest.mark.parametrize("act", [rename, change, shift, add, remove])
def test_it_depends_on_every_file(make: Callable[[str], Path], act: Callable[[Path], None]) -> None:
    path = make("p")
    before = checksum(package(path))
    act(path)
    assert checksum(package(path)) != before


def test_it_depends_on_names_and_manifests(make: Callable[[str], Path]) -> None:
    sums = [checksum(package(make("p"))), checksum(package(make("q"))), checksum(package(make("x/p"), label="x"))]
    assert len(set(sums)) == 3


def test_a_file_that_went_meanwhile_is_no_error(make: Callable[[str], Path]) -> None:
    path = make("p")
    listings = {str(path): list_files(str(path))}
    (path / "a.js").unlink()
    (path / "sub" / "b.js").unlink()
    os.mkfifo(path / "sub" / "b.js")
    assert bundle_checksum([package(path)], listings)


def test_it_ends_when_it_is_told_to(make: Callable[[str], Path]) -> None:
    class Stop(Exception):
        pass

    def checkpoint() -> None:
        raise Stop

    path = make("p")
    listings = {str(path): list_files(str(path))}
    with pytest.raises(Stop):
        bundle_checksum([package(path)], listings, checkpoint)
