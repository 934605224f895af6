"""Reading the manifests anew when one of them changes on disk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from spanbridge import watcher
from spanbridge.session import reload_on_change
from spanbridge.testing.home import Home
from spanbridge.watcher import CannotWatch

from .without_process import Workbench, workbench

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def reloading(home: Home) -> AsyncIterator[Workbench]:
    """Once it watches: it has reloaded by then."""
    with anyio.fail_after(20):
        async with workbench(home.root) as bench:
            bench.environ.update(home.environ)
            reloaded = bench.reloaded
            bench.services.tasks.start_soon(reload_on_change.reload_on_change, bench.services)
            await reloaded.wait()
            yield bench


def put(path: Path, content: str | None) -> None:
    """Write a file; None removes it."""
    if content is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


async def test_every_change_that_matters(home: Home) -> None:
    home.package("old")
    package = home.data_home / "cockpit" / "old"
    async with reloading(home) as bench:

        async def is_told(path: Path, content: str | None) -> None:
            reloaded = bench.reloaded
            put(path, content)
            await reloaded.wait()

        await is_told(package / "manifest.json", "{}")
        await is_told(package / "override.json", "{}")
        await is_told(package / "override.json", None)
        await is_told(home.data_dir / "cockpit/new/manifest.json", "{}")
        await is_told(home.data_dir / "cockpit/new/manifest.json", '{"priority": 2}')
        await is_told(home.config_dir / "cockpit/old.override.json", "{}")
        await is_told(home.config_home / "cockpit/old.override.json", "{}")
        reloaded = bench.reloaded
        package.rename(home.data_home / "cockpit" / "older")
        await reloaded.wait()
        await is_told(home.data_home / "cockpit/older/manifest.json", "{}")


async def test_a_directory_of_links_through_a_link_that_is_swapped(home: Home) -> None:
    """As Kubernetes mounts a ConfigMap."""
    package = home.data_home / "cockpit" / "a"
    for version in ("..1", "..2"):
        put(package / version / "manifest.json", "{}")
    (package / "..data").symlink_to("..1")
    (package / "manifest.json").symlink_to("..data/manifest.json")
    async with reloading(home) as bench:
        for version in ("..2", "..1"):
            reloaded = bench.reloaded
            (package / "..data_tmp").symlink_to(version)
            (package / "..data_tmp").rename(package / "..data")
            await reloaded.wait()


async def test_what_links_lead_to(home: Home) -> None:
    """A manifest that is a link, to a link, to a file elsewhere; and a package that is a link to a directory."""
    elsewhere = home.root / "elsewhere"
    put(elsewhere / "file.json", "{}")
    (elsewhere / "link.json").symlink_to(elsewhere / "file.json")
    put(elsewhere / "package" / "manifest.json", "{}")
    (home.root / "step").symlink_to("elsewhere")
    cockpit = home.data_home / "cockpit"
    (cockpit / "a").mkdir(parents=True)
    (cockpit / "a" / "manifest.json").symlink_to("../../../step/link.json")
    (cockpit / "b").symlink_to(home.root / "step" / "package")
    (cockpit / "round").symlink_to("round")
    async with reloading(home) as bench:

        @asynccontextmanager
        async def told() -> AsyncIterator[None]:
            reloaded = bench.reloaded
            yield
            await reloaded.wait()

        async with told():
            (elsewhere / "file.json").write_text('{"priority": 2}')
        async with told():
            (elsewhere / "package" / "manifest.json").write_text('{"priority": 2}')
        async with told():
            (elsewhere / "new.json").write_text("{}")
            (elsewhere / "new.json").rename(elsewhere / "file.json")
        async with told():
            (elsewhere / "link.json").unlink()
        async with told():
            (home.root / "step").unlink()
        async with told():
            (home.root / "step").symlink_to("elsewhere")
        async with told():
            (elsewhere / "package").rename(elsewhere / "package-2")
        before = bench.reloads
        (elsewhere / "notes").write_text("")
        async with told():
            (elsewhere / "package-2").rename(elsewhere / "package")
        assert bench.reloads == before + 1


async def test_changes_that_come_together_are_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload_on_change, "QUIET_SECONDS", 3600.0)
    monkeypatch.setattr(reload_on_change, "LONGEST_SECONDS", 0.2)
    home.package("a")
    async with reloading(home) as bench:
        reloaded = bench.reloaded
        for number in range(50):
            home.package(f"a{number}")
        await reloaded.wait()
        assert bench.reloads == 2


async def test_other_files_of_a_package_do_not_matter(home: Home) -> None:
    directory = home.package("a")
    async with reloading(home) as bench:
        (directory / "index.js").write_text("1")
        (home.config_home / "cockpit").mkdir()
        (home.config_home / "cockpit" / "notes.json").write_text("{}")
        reloaded = bench.reloaded
        await reloaded.wait()  # the directory was made
        before = bench.reloads
        (directory / "index.js").write_text("2")
        (home.config_home / "cockpit" / "notes.json").write_text("[]")
        reloaded = bench.reloaded
        (directory / "manifest.json").write_text("{}")
        await reloaded.wait()
        assert bench.reloads == before + 1


async def test_nothing_to_watch_with(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def none(most: int) -> watcher.Watcher:
        raise CannotWatch("there is nothing")

    monkeypatch.setattr(reload_on_change, "open_watcher", none)
    async with workbench(home.root) as bench:
        await reload_on_change.reload_on_change(bench.services)
        assert bench.reloads == 0
    assert "warning: reload-on-change" in capfd.readouterr().err
