"""File systems that lack something, or fail in the midst: what the system would say is said for them."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from spanbridge.inotify import Inotify
from spanbridge.payloads.files.directory import Directory
from spanbridge.payloads.files.filesystems import FileSystems
from spanbridge.payloads.files.following import Follower
from spanbridge.payloads.files.fsreplace1 import fsreplace
from spanbridge.payloads.files.tag import tag_at

from ..bus.without_process import Workbench, workbench
from .test_failing_close import closed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with workbench(tmp_path) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


def saying(number: int) -> Callable[..., NoReturn]:
    def fail(*arguments: object, **more: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


async def replace(bench: Workbench, path: Path, **options: Any) -> dict[str, Any]:
    """With new content; what the channel is closed with."""
    channel = bench.open(fsreplace, payload="fsreplace1", path=str(path), **options)
    channel.say("content")
    channel.command("done")
    return await closed(channel)


@pytest.mark.parametrize("call", ["rename", "close"])
async def test_without_hard_links_a_failure_leaves_no_empty_file(
    bench: Workbench, place: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(Directory, "unnamed_file", saying(errno.EOPNOTSUPP))
    monkeypatch.setattr(os, "link", saying(errno.EPERM))
    if call == "rename":
        monkeypatch.setattr(os, "rename", saying(errno.EIO))
    else:
        close = os.close

        def fail(fd: int) -> None:
            name = os.readlink(f"/proc/self/fd/{fd}")
            close(fd)
            if name == str(place / "file"):
                saying(errno.EIO)()

        monkeypatch.setattr(os, "close", fail)
    told = await replace(bench, place / "file", tag="-")
    assert (told["problem"], told["message"]) == ("internal-error", f"{place}/file: Input/output error")
    assert os.listdir(place) == []


async def test_a_name_of_its_own_that_stays_beside_is_no_failure(
    bench: Workbench, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Directory, "unnamed_file", saying(errno.EOPNOTSUPP))
    monkeypatch.setattr(Directory, "remove", saying(errno.EIO))
    told = await replace(bench, place / "file", tag="-")
    assert "problem" not in told
    assert (place / "file").read_text() == '"content"'


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_without_modes(bench: Workbench, place: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A new file has what the file system gives it, an old one keeps that; who asks for another mode is told."""
    monkeypatch.setattr(os, "fchmod", saying(number))
    path = place / "file"
    for tag in ("-", None, None):
        assert "problem" not in await replace(bench, path, **({"tag": tag} if tag else {}))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "problem" in await replace(bench, path, attrs={"mode": 0o640})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_more_than_is_free(bench: Workbench, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be allocated the C library writes it all: not that."""
    asked = list[int]()
    monkeypatch.setattr(os, "posix_fallocate", lambda fd, offset, size: asked.append(size))
    told = await replace(bench, place / "file", size=1 << 60)
    assert told["message"] == f"{place}/file: No space left on device"
    assert "problem" not in await replace(bench, place / "file", size=9)
    assert asked == [9]


async def test_what_fails_once_it_has_its_name(bench: Workbench, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is not denied."""
    rename, fstat = os.rename, os.fstat

    def give_name(*arguments: Any, **more: Any) -> None:
        rename(*arguments, **more)
        monkeypatch.setattr(os, "fstat", saying(errno.ESTALE))

    monkeypatch.setattr(os, "rename", give_name)
    told = await replace(bench, place / "file")
    monkeypatch.setattr(os, "fstat", fstat)
    assert told["tag"] == tag_at(bytes(place / "file"))


async def test_without_a_way_to_ask_for_changes_it_is_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> NoReturn:
        raise ModuleNotFoundError("No module named 'inotify_simple'")

    monkeypatch.setattr("spanbridge.inotify.import_inotify", fail)
    inotify = Inotify(asyncio.get_running_loop(), 100)
    follower = Follower(inotify, FileSystems(), bytes(place), lambda mask, name: None, lambda limit: None)
    follower.walk()
    assert follower.untold
    follower.close()


@pytest.mark.parametrize("call", ["lstat", "readlink"])
@pytest.mark.parametrize(
    ("number", "untold"), [(errno.ESTALE, True), (errno.EIO, True), (errno.ENOTCONN, True), (errno.ENOENT, False)]
)
async def test_a_server_that_is_gone_is_asked_again(
    place: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, untold: bool
) -> None:
    """Nobody tells when it is back."""
    (place / "link").symlink_to("file")
    inotify = Inotify(asyncio.get_running_loop(), 100)
    path = os.fsencode(place / "link")
    follower = Follower(inotify, FileSystems(), path, lambda mask, name: None, lambda limit: None)
    follower.walk()
    assert not follower.untold
    look: Callable[..., Any] = getattr(os, call)
    monkeypatch.setattr(os, call, lambda each, **more: saying(number)() if each == path else look(each, **more))
    follower.walk()
    assert follower.untold == untold
    monkeypatch.setattr(os, call, look)
    follower.walk()
    assert not follower.untold
    follower.close()
    inotify.close()
