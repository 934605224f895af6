"""Directories watched by the kernel."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import inotify_simple  # type: ignore[import-untyped]
import pytest

from spanbridge.inotify import Inotify
from spanbridge.watcher import CannotWatch, Wanted, Watcher, open_watcher

pytestmark = pytest.mark.anyio


def of(most: int) -> Inotify:
    return Inotify(asyncio.get_running_loop(), most)


@asynccontextmanager
async def watching(wanted: dict[str, Wanted]) -> AsyncIterator[Watcher]:
    with anyio.fail_after(20):
        with await open_watcher(of(1_000)) as opened:
            assert opened.cover(wanted) == 0
            yield opened


def is_wanted(name: str) -> bool:
    return name == "wanted"


async def tells(opened: Watcher) -> bool:
    """Whether what has happened by now is a change: inotify has told of it by the time that it has happened."""
    told = False

    async def wait() -> None:
        nonlocal told
        await opened.changed()
        told = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):  # turns of the event loop
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    return told


async def test_what_matters_is_told_and_the_rest_is_not(tmp_path: Path) -> None:
    file, other = tmp_path / "wanted", tmp_path / "other"
    async with watching({str(tmp_path): is_wanted}) as opened:
        file.write_text("a")
        await opened.changed()
        other.write_text("a")
        other.unlink()
        assert not await tells(opened)
        file.chmod(0o600)
        await opened.changed()
        file.rename(other)
        await opened.changed()
        other.rename(file)
        await opened.changed()
        file.unlink()
        await opened.changed()
        file.symlink_to("nothing")
        await opened.changed()
        file.unlink()
        file.mkdir()
        await opened.changed()


async def test_a_file_counts_when_it_is_closed(tmp_path: Path) -> None:
    async with watching({str(tmp_path): is_wanted}) as opened:
        with (tmp_path / "wanted").open("w") as file:
            file.write("half")
            file.flush()
            assert not await tells(opened)
        await opened.changed()


async def test_a_hard_link_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("whole")
    async with watching({str(tmp_path): is_wanted}) as opened:
        (tmp_path / "wanted").hardlink_to(tmp_path / "there")
        await opened.changed()


async def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b" / "c"
    wanted: dict[str, Wanted] = {str(directory): is_wanted}
    async with watching(wanted) as opened:
        (tmp_path / "z").mkdir()
        assert not await tells(opened)
        for each in (tmp_path / "a", tmp_path / "a/b", directory):
            each.mkdir()
            await opened.changed()
            opened.cover(wanted)
        (directory / "wanted").touch()
        await opened.changed()


@pytest.mark.parametrize("which", ["a", "a/b", "a/b/c"])
async def test_a_directory_that_goes(tmp_path: Path, which: str) -> None:
    directory = tmp_path / "a" / "b" / "c"
    directory.mkdir(parents=True)
    wanted: dict[str, Wanted] = {str(directory): is_wanted}
    async with watching(wanted) as opened:
        (tmp_path / which).rename(tmp_path / "gone")
        await opened.changed()
        opened.cover(wanted)
        directory.mkdir(parents=True)
        await opened.changed()
        opened.cover(wanted)
        assert not await tells(opened)
        (directory / "wanted").touch()
        await opened.changed()


async def test_a_directory_that_is_removed_and_made_anew(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    directory.mkdir()
    wanted: dict[str, Wanted] = {str(directory): is_wanted}
    async with watching(wanted) as opened:
        for _ in range(3):
            directory.rmdir()
            await opened.changed()
            opened.cover(wanted)
            directory.mkdir()
            await opened.changed()
            opened.cover(wanted)


async def test_what_is_no_longer_covered_is_not_told(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    async with watching({str(one): is_wanted, str(two): is_wanted}) as opened:
        opened.cover({str(two): is_wanted})
        (one / "wanted").touch()
        assert not await tells(opened)
        (two / "wanted").touch()
        await opened.changed()


async def test_one_directory_under_two_names(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    async with watching({str(real): is_wanted, str(link): lambda name: name == "other"}) as opened:
        for name in ("wanted", "other"):
            (real / name).mkdir()
            await opened.changed()


async def test_more_than_can_be_watched_is_left_out(tmp_path: Path) -> None:
    directories = [tmp_path / str(number) for number in range(10)]
    for directory in directories:
        directory.mkdir()
    wanted: dict[str, Wanted] = {str(directory): is_wanted for directory in directories}
    above = len(tmp_path.parts)
    with await open_watcher(of(above + 4)) as opened:
        assert opened.cover(wanted) == 6
        (directories[0] / "wanted").touch()
        with anyio.fail_after(20):
            await opened.changed()


async def test_more_than_the_system_allows_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: inotify_simple.INotify, path: str, mask: int) -> int:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    with await open_watcher(of(1_000)) as opened:
        monkeypatch.setattr(inotify_simple.INotify, "add_watch", full)
        assert opened.cover({str(tmp_path): is_wanted}) == 1


async def test_without_an_inotify_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**arguments: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(inotify_simple, "INotify", none)
    with pytest.raises(CannotWatch, match=r"inotify: no more watches: .*: changes on disk are not noticed"):
        await open_watcher(of(1_000))
