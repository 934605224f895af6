"""No space, no descriptors, no inotify, no rights, no time left."""

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home

from ..superuser.conftest import installation
from ..superuser.installation import Installation
from .client import NO_FILE, Files, Watched
from .surroundings import NOBODY, as_nobody, bridge_in, home_of_nobody, limited, mounted, without_inotify

__all__ = ["installation"]


def small_disk(place: Path) -> list[str]:
    place.mkdir()
    return mounted('mount -t tmpfs -o size=256k none "$1"; echo old > "$1/file"', place)


def test_no_space(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with bridge_in(home, small_disk(place)) as (_, files):
        file, tag = place / "file", files.read(place / "file").tag
        for options in ({}, {"tag": tag}, {"binary": "raw"}):
            full = files.replace(file, *[b"x" * 60_000] * 8, **options)
            assert full.problem == "internal-error"
            assert full.close["message"] == f"{file}: No space left on device"
            assert "done" not in full.commands
        refused = files.answer(files.open("fsreplace1", file, size=1 << 20))
        assert (refused.commands, refused.problem) == (["close"], "internal-error")
        assert files.read(file).data == b"old\n"
        assert files.read(file).tag == tag
        assert set(files.look(place, "entries")["info"]["entries"]) == {"file"}
        assert files.replace(file, b"y" * 100_000).problem is None  # nothing of the others is left


def test_a_large_file_that_finds_no_space(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with bridge_in(home, small_disk(place)) as (_, files):
        channel = files.open("fsreplace1", place / "file", binary="raw")
        for _ in range(100):
            files.front_end.send(channel, b"x" * 65_536)
        assert files.answer(channel).problem == "internal-error"
        assert set(files.look(place, "entries")["info"]["entries"]) == {"file"}


def test_a_file_that_may_not_grow_so_large(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with bridge_in(home, limited("-f 100")) as (_, files):  # blocks of 512 bytes
        answer = files.replace(file, b"x" * 60_000)
        assert answer.problem == "internal-error"
        assert "File too large" in answer.close["message"]
        assert files.answer(files.open("fsreplace1", file, size=60_000)).problem == "internal-error"
        assert files.replace(file, b"x" * 50_000).problem is None


@pytest.mark.parametrize("kind", ["watches", "instances"])
def test_no_inotify(home: Home, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    with bridge_in(home, without_inotify(kind), limits={"watch_look_seconds": 0.1}) as (bridge, files):
        watched = [Watched(files, file, "type", "size") for _ in range(3)]
        for each in watched:
            each.wait(lambda value: "error" in value)
        file.write_text("123")
        for each in watched:
            each.wait({"info": {"type": "reg", "size": 3}})
        assert len(bridge.log.matches("no-more-watches")) == 1
        assert f"max_user_{kind}" in bridge.log.text


def test_our_own_limit_of_watches(home: Home, tmp_path: Path) -> None:
    with bridge_in(home, [], limits={"watched_directories": 2, "watch_look_seconds": 0.1}) as (bridge, files):
        watched = Watched(files, tmp_path, "type", "entries", fnmatch="file")
        watched.wait({"info": {"type": "dir", "entries": {}}})
        (tmp_path / "file").touch()
        watched.wait({"info": {"type": "dir", "entries": {"file": {"type": "reg"}}}})
        assert len(bridge.log.matches("no-more-watches")) == 1


def test_another_file_system_in_the_place_and_under_the_number_of_one(home: Home, tmp_path: Path) -> None:
    """What /proc shows is told by nobody: it is looked at."""
    place = tmp_path / "place"
    place.mkdir()
    with bridge_in(home, mounted('mount -t tmpfs tmpfs "$1"', place), limits={"watch_look_seconds": 0.1}) as (b, files):
        inside = ["nsenter", f"--target={b.pid}", "--mount"]
        Watched(files, place, "type").wait({"info": {"type": "dir"}})
        subprocess.run([*inside, "sh", "-ec", 'umount "$0"; mount -t proc proc "$0"', place], check=True)
        with subprocess.Popen(["sleep", "60"]) as process:
            watched = Watched(files, place / str(process.pid), "type")
            watched.wait({"info": {"type": "dir"}})
            process.kill()
        watched.wait(lambda value: "error" in value)


def test_few_descriptors(home: Home, tmp_path: Path) -> None:
    names = [tmp_path / f"file-{number}" for number in range(100)]
    with bridge_in(home, limited("-n 64")) as (bridge, files):
        for name in names:
            name.write_text("x")
        watched = [Watched(files, name, "size") for name in names]
        for each in watched:
            each.wait({"info": {"size": 1}})
        for name in names:
            name.write_text("xy")
        for each in watched:
            each.wait({"info": {"size": 2}})
        channels = [files.open("fsread1", name) for name in names]
        assert {files.answer(channel).data for channel in channels} == {b"xy"}
        channels = [files.open("fsreplace1", name, size=1) for name in names]
        for channel in channels:
            files.front_end.control("done", channel=channel)
        problems = {files.answer(channel).problem for channel in channels}
        assert problems <= {None, "internal-error"}  # too many open files, for some
        files.front_end.sync()
        assert len(os.listdir(f"/proc/{bridge.pid}/fd")) < 64


@pytest.fixture
def unprivileged(installation: Installation) -> Iterator[tuple[Bridge, Files, Path]]:
    """A bridge of somebody who may do little, and a directory that anybody may look into."""
    with home_of_nobody() as home:
        place = home.root.parent / "place"
        place.mkdir()
        with bridge_in(home, as_nobody(), program=installation.spanbridge) as (bridge, files):
            yield bridge, files, place


def test_who_may_what(unprivileged: tuple[Bridge, Files, Path]) -> None:
    _, files, place = unprivileged
    secret, open_file = place / "secret", place / "open"
    secret.write_text("secret")
    secret.chmod(0o600)
    open_file.write_text("open")
    answer = files.read(secret)
    assert (answer.commands, answer.problem) == (["close"], "access-denied")
    assert answer.close["message"] == f"{secret}: Permission denied"
    assert files.read(open_file).data == b"open"
    assert files.look(secret, "type", "size", "r-ok") == {"info": {"type": "reg", "size": 6, "r-ok": False}}
    for data in ((b"x",), ()):
        assert files.replace(open_file, *data).problem == "access-denied"
    assert open_file.read_text() == "open"


def test_what_may_not_be_read_is_an_error_where_it_is_watched(unprivileged: tuple[Bridge, Files, Path]) -> None:
    _, files, place = unprivileged
    denied = {"error": {"problem": "access-denied", "message": "Permission denied", "errno": "EACCES"}}
    (place / "directory").mkdir()
    (place / "directory" / "entry").touch()
    (place / "file").write_text("x")
    for name in ("directory", "file"):
        (place / name).chmod(0o700)
    for name, value in (
        ("directory", {"type": "dir", "entries": {"entry": {"type": "reg"}}}),
        ("file", {"type": "reg"}),
    ):
        watched = Watched(files, place / name, "type", "entries")
        watched.wait(denied)
        (place / name).chmod(0o755)
        watched.wait({"info": value})
        (place / name).chmod(0o700)
        watched.wait(denied)
    assert files.look(place / "directory", "type", "entries") == {"info": {"type": "dir"}}
    watched = Watched(files, f"{place}/file/", "type")
    watched.wait(denied)


def test_entries_without_the_right_to_search(unprivileged: tuple[Bridge, Files, Path]) -> None:
    _, files, place = unprivileged
    directory = place / "directory"
    directory.mkdir()
    for name in ("one", "two"):
        (directory / name).touch()
    directory.chmod(0o744)
    for attrs in (("type",), ("size",), ("type", "size", "targets")):
        told = files.look(directory, *attrs, "entries")["info"]
        assert told["entries"] == {"one": {}, "two": {}}


def test_a_way_that_may_be_passed_and_not_read(unprivileged: tuple[Bridge, Files, Path]) -> None:
    _, files, place = unprivileged
    way = place / "way"
    way.mkdir()
    way.chmod(0o711)
    watched = Watched(files, way / "file", "size")
    watched.wait(lambda value: "error" in value)
    (way / "file").write_text("123")
    watched.wait({"info": {"size": 3}})


def test_owner_and_mode_for_somebody_without_privileges(unprivileged: tuple[Bridge, Files, Path]) -> None:
    _, files, place = unprivileged
    place.chmod(0o777)
    file = place / "file"

    def make(mode: int, owner: int = 0, group: int = 0) -> str | None:
        file.unlink(missing_ok=True)
        file.write_text("old")
        os.chown(file, owner, group)
        file.chmod(mode)
        return files.read(file).tag

    def found() -> tuple[int, int, int]:
        told = file.stat()
        return told.st_uid, told.st_gid, stat.S_IMODE(told.st_mode)

    assert files.replace(file, b"new", tag=make(0o644)).problem == "access-denied"
    assert file.read_text() == "old"
    make(0o640, NOBODY, NOBODY)
    assert files.replace(file, b"new").problem is None
    assert found() == (NOBODY, NOBODY, 0o640)
    # Somebody else's, in a directory that others may write to: it may be a trap.
    make(0o600, 1, 1)
    assert files.replace(file, b"new").problem is None
    assert found() == (NOBODY, NOBODY, 0o644)
    # The directory's owner's: nobody may read it who could not before.
    for mode, kept in ((0o640, 0o600), (0o644, 0o644), (0o604, 0o600), (0o4755, 0o755), (0o066, 0o066)):
        make(mode)
        assert files.replace(file, b"new").problem is None
        assert found() == (NOBODY, NOBODY, kept)
    for attrs in ({"user": "root", "group": "root"}, {"user": 0, "group": 0, "mode": 0o600}):
        answer = files.replace(file, b"x", attrs=attrs)
        assert (answer.commands, answer.problem) == (["ready", "close"], "access-denied")


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs uid 0")
def test_owner_and_mode_for_root(files: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"

    def found() -> tuple[int, int, int]:
        told = file.stat()
        return told.st_uid, told.st_gid, stat.S_IMODE(told.st_mode)

    def make(mode: int, owner: int) -> str | None:
        file.write_text("old")
        os.chown(file, owner, owner)
        file.chmod(mode)
        return files.read(file).tag

    assert files.replace(file, b"x", tag=make(0o4640, 1)).problem is None
    assert found() == (1, 1, 0o4640)
    make(0o600, 1)
    assert files.replace(file, b"x").problem is None
    assert found() == (1, 1, 0o600)
    tmp_path.chmod(0o777)
    make(0o600, 1)
    assert files.replace(file, b"x").problem is None
    assert found() == (0, 0, 0o644)
    tag = make(0o4755, 1)
    assert files.replace(file, b"x", tag=tag, attrs={"user": "nobody", "group": NOBODY}).problem is None
    assert found() == (NOBODY, NOBODY, 0o755)


@pytest.mark.parametrize("language", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_in_any_locale(home: Home, tmp_path: Path, language: str) -> None:
    name = "sch\u00f6n-\u20ac-\udcff"
    path = os.fsencode(tmp_path) + b"/" + name.encode("utf-8", "surrogateescape")
    with bridge_in(home, [], environ={"LANG": language, "LC_ALL": language}) as (_, files):
        watched = Watched(files, tmp_path, "type", "target", "entries", fnmatch="sch*")
        watched.wait({"info": {"type": "dir", "entries": {}}})
        assert files.replace(path, b"content").problem is None
        assert files.read(path).data == b"content"
        assert os.listdir(os.fsencode(tmp_path)).count(path.rpartition(b"/")[2]) == 1
        watched.wait({"info": {"type": "dir", "entries": {name: {"type": "reg"}}}})
        os.unlink(path)
        os.symlink(path, path)
        link = {"type": "lnk", "target": path.decode("utf-8", "surrogateescape")}
        assert files.look(tmp_path, "type", "target", "entries", fnmatch="sch*")["info"]["entries"] == {name: link}
        assert {"event": "present", "path": name, "type": "link"} in files.list(tmp_path).messages


def test_killed_while_it_replaces(home: Home, tmp_path: Path) -> None:
    """The old content or the new, and nothing beside it."""
    place = tmp_path / "place"
    place.mkdir()
    file = place / "file"
    file.write_bytes(b"old")
    for turn in range(4):
        bridge = Bridge(home)
        with bridge:
            bridge.front_end.expect("init")
            bridge.front_end.init()
            files = Files(bridge.front_end)
            channel = files.open(
                "fsreplace1", file, **{"send-acks": "bytes"}, **({"size": 300_000} if turn % 2 else {})
            )
            for _ in range(5):
                bridge.front_end.send(channel, b"x" * 60_000)
            for _ in range(turn + 1):
                bridge.front_end.expect("ack", channel)
            bridge.signal(signal.SIGKILL)
            bridge.front_end.read_to_end()
        assert file.read_bytes() == b"old"
        assert os.listdir(place) == ["file"]


def test_ended_while_it_replaces(home: Home, tmp_path: Path) -> None:
    """What has a name while it is written, for want of /proc, has lost it before the bridge has ended."""
    place = tmp_path / "place"
    place.mkdir()
    with bridge_in(home, mounted("umount -l /proc")) as (bridge, files):
        for number in range(100):
            channel = files.open("fsreplace1", place / f"file-{number}", **{"send-acks": "bytes"})
            bridge.front_end.send(channel, b"x" * 60_000)
            bridge.front_end.expect("ack", channel)
        assert len(os.listdir(place)) == 100
        bridge.signal(signal.SIGTERM)
        bridge.front_end.read_to_end()
        assert bridge.wait() == 0
    assert os.listdir(place) == []


def test_without_proc(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with bridge_in(home, mounted("umount -l /proc")) as (_, files):
        file = place / "file"
        first = files.replace(file, b"one", tag=NO_FILE)
        assert first.problem is None
        assert files.replace(file, b"two", tag=NO_FILE).problem == "change-conflict"
        assert files.replace(file, b"two", tag=first.tag).problem is None
        assert files.replace(file, b"three", b"and more").problem is None
        assert files.read(file).data == b"threeand more"
        assert files.read(place).problem == "internal-error"
        told = files.look(place, "type", "size", "entries", "targets")["info"]
        assert told["entries"] == {"file": {"type": "reg", "size": 13}}
        watched = Watched(files, file, "size")
        watched.wait({"info": {"size": 13}})
        # What has to have a name while it is written loses it when it is not wanted.
        channel = files.open("fsreplace1", file, **{"send-acks": "bytes"})
        files.front_end.send(channel, b"x")
        files.front_end.expect("ack", channel)
        assert len(os.listdir(place)) == 2
        files.front_end.close(channel)
        files.answer(channel)
        files.read(file)
        assert files.replace(file).problem is None
        watched.wait(lambda value: "error" in value)
        deadline = Deadline()
        while os.listdir(place) and deadline.left:
            files.read(file)
        assert os.listdir(place) == []
