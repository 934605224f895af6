"""`fsinfo` with watching."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.deadline import Deadline
from spanbridge.testing.start import Start

from .client import Files, Watched

NOT_FOUND = {"error": {"problem": "not-found", "message": "No such file or directory", "errno": "ENOENT"}}


def told(kind: str, **members: Any) -> dict[str, Any]:
    return {"info": {"type": kind, **members}}


def test_a_file_that_comes_changes_and_goes(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    watched = Watched(shared, file, "type", "size", "mode")
    watched.wait(NOT_FOUND)
    file.write_bytes(b"123")
    file.chmod(0o600)
    watched.wait(told("reg", size=3, mode=0o600))
    with file.open("ab") as more:
        more.write(b"4")
        more.flush()
        watched.wait(told("reg", size=4, mode=0o600))
    assert watched.messages[-1] == {"info": {"size": 4}}
    file.chmod(0o640)
    watched.wait(told("reg", size=4, mode=0o640))
    file.unlink()
    watched.wait(NOT_FOUND)
    assert watched.messages[-1] == {"info": None, **NOT_FOUND}


def test_replaced_by_rename_there_is_no_state_between(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")
    watched = Watched(shared, file, "type", "size")
    watched.wait(told("reg", size=1))
    for size in (2, 3, 4):
        (tmp_path / "new").write_bytes(b"x" * size)
        (tmp_path / "new").rename(file)
        watched.wait(told("reg", size=size))
    assert watched.states == [told("reg", size=size) for size in (1, 2, 3, 4)]


def test_another_name_of_the_file_changes_it(shared: Files, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    file, other = tmp_path / "file", tmp_path / "away" / "other"
    file.write_bytes(b"1")
    other.hardlink_to(file)
    watched = Watched(shared, file, "type", "size")
    watched.wait(told("reg", size=1))
    other.write_bytes(b"12")
    watched.wait(told("reg", size=2))


def test_every_part_of_a_path_may_come_and_go(shared: Files, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"
    watched = Watched(shared, path, "type", "entries")
    watched.wait(NOT_FOUND)
    path.mkdir(parents=True)
    watched.wait(told("dir", entries={}))
    (path / "file").touch()
    watched.wait(told("dir", entries={"file": {"type": "reg"}}))
    for part in (tmp_path / "a", tmp_path / "a" / "b", path):
        part.rename(tmp_path / "moved")
        watched.wait(NOT_FOUND)
        (tmp_path / "moved").rename(part)
        watched.wait(told("dir", entries={"file": {"type": "reg"}}))
    shutil.rmtree(tmp_path / "a")
    watched.wait(NOT_FOUND)


def test_links_on_the_way(shared: Files, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name * len(name) if name == "two" else name)
    link = tmp_path / "link"
    (tmp_path / "second").symlink_to("one")
    link.symlink_to(tmp_path / "second")
    watched = Watched(shared, link / "file", "type", "size")
    watched.wait(told("reg", size=3))
    (tmp_path / "one" / "file").write_text("12345")
    watched.wait(told("reg", size=5))
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "second")
    watched.wait(told("reg", size=9))
    (tmp_path / "two" / "file").rename(tmp_path / "two" / "other")
    watched.wait(NOT_FOUND)
    (tmp_path / "two" / "file").symlink_to("../one/file")
    watched.wait(told("reg", size=5))
    (tmp_path / "one").rename(tmp_path / "gone")
    watched.wait(NOT_FOUND)
    link.unlink()
    link.symlink_to("gone")
    watched.wait(told("reg", size=5))


def test_nothing_of_the_old_is_left_in_the_new(shared: Files, tmp_path: Path) -> None:
    path = tmp_path / "path"
    path.mkdir()
    (path / "entry").symlink_to("/dev/null")
    watched = Watched(shared, path, "type", "target", "entries", "targets")
    entries = {"entry": {"type": "lnk", "target": "/dev/null"}}
    watched.wait(told("dir", entries=entries, targets={"/dev/null": {"type": "chr"}}))
    path.rename(tmp_path / "away")
    path.write_text("now a file")
    watched.wait(told("reg"))
    path.unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "different").touch()
    (tmp_path / "other").rename(path)
    watched.wait(told("dir", entries={"different": {"type": "reg"}}, targets={}))
    (tmp_path / "away").rename(tmp_path / "third")
    path.rename(tmp_path / "fourth")
    (tmp_path / "third").rename(path)
    watched.wait(told("dir", entries=entries, targets={"/dev/null": {"type": "chr"}}))
    assert NOT_FOUND not in watched.states


def test_of_entries_what_changed_alone_is_told(shared: Files, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    watched = Watched(shared, tmp_path, "type", "size", "mode", "target", "entries", fnmatch="[!x]*")
    watched.wait(lambda value: "two" in value.get("info", {}).get("entries", {}))
    before = len(watched.messages)
    (tmp_path / "two").write_text("longer than two")
    watched.wait(lambda value: value["info"]["entries"]["two"]["size"] == 15)
    assert watched.messages[before:] == [{"info": {"entries": {"two": {"size": 15}}}}]
    (tmp_path / "x-ignored").touch()
    (tmp_path / "one").unlink()
    (tmp_path / "three").unlink()
    (tmp_path / "three").symlink_to("two")
    watched.wait(lambda value: value["info"]["entries"].get("three", {}).get("target") == "two")
    entries: dict[str, Any] = {}
    for message in watched.messages[before + 1 :]:
        entries |= message["info"].get("entries", {})
    assert set(entries) == {"one", "three"}
    assert entries["one"] is None


def test_the_directory_itself_follows(shared: Files, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    watched = Watched(shared, place, "mode", "mtime", "entries", fnmatch="nothing")
    watched.wait(lambda value: "info" in value)
    place.chmod(0o711)
    watched.wait(lambda value: value["info"]["mode"] == 0o711)
    os.utime(place, ns=(1_000_000_000, 1_000_000_000))
    watched.wait(lambda value: value["info"]["mtime"] == 1)
    (place / "other").touch()
    watched.wait(lambda value: value["info"]["mtime"] == place.stat().st_mtime)
    assert watched.value["info"]["entries"] == {}


def test_many_changes_are_few_messages(shared: Files, tmp_path: Path) -> None:
    watched = Watched(shared, tmp_path, "type", "entries")
    watched.wait(told("dir", entries={}))
    for number in range(2_000):
        (tmp_path / f"{number}").touch()
        (tmp_path / f"{number}").unlink()
    (tmp_path / "last").touch()
    watched.wait(told("dir", entries={"last": {"type": "reg"}}))
    assert len(watched.messages) < 100


def test_more_changes_than_names_are_remembered(shared: Files, tmp_path: Path) -> None:
    watched = Watched(shared, tmp_path, "type", "entries")
    watched.wait(told("dir", entries={}))
    for number in range(11_000):  # more than the kernel remembers, too
        (tmp_path / f"{number}").touch()
    watched.wait(lambda value: len(value["info"]["entries"]) == 11_000)
    for number in range(11_000):
        (tmp_path / f"{number}").unlink()
    watched.wait(told("dir", entries={}))


def test_entries_that_become_too_many(start: Start, tmp_path: Path) -> None:
    bridge = start(limits={"info_entries": 3})
    place = tmp_path / "place"
    place.mkdir()
    watched = Watched(Files(bridge.front_end), place, "type", "entries")
    watched.wait(lambda value: "info" in value)
    for name in ("one", "two", "three", "four"):
        (place / name).touch()
    watched.wait(lambda value: "info_entries" in value.get("error", {}).get("message", ""))
    assert "info" not in watched.value
    (place / "four").unlink()
    watched.wait(lambda value: len(value.get("info", {}).get("entries", ())) == 3)
    assert "error" not in watched.value


def test_a_front_end_that_takes_nothing(shared: Files, tmp_path: Path) -> None:
    """What it did not take is not told piece by piece later."""
    front_end = shared.front_end
    channel = shared.open("fsread1", "/dev/zero", binary="raw", max_read_size=-1)
    front_end.expect("ready", channel)
    watched = Watched(shared, tmp_path, "type", "entries")
    watched.wait(told("dir", entries={}))
    front_end.reading = False
    for number in range(100):
        (tmp_path / "file").write_text(str(number))
        os.rename(tmp_path / "file", tmp_path / f"{number}")
    front_end.reading = True
    front_end.close(channel)
    shared.answer(channel)
    watched.wait(lambda value: len(value["info"]["entries"]) == 100)
    assert len(watched.messages) < 20


def test_watches_go_with_their_channels(shared: Files, tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}").touch()
    for _ in range(3):
        watches = [Watched(shared, tmp_path / f"{number}", "type") for number in range(50)]
        for watched in watches:
            watched.wait(told("reg"))
            shared.front_end.close(watched.channel)
        for watched in watches:
            shared.answer(watched.channel)
    # Others that watch the same are not harmed.
    kept = Watched(shared, tmp_path / "7", "type", "size")
    gone = Watched(shared, tmp_path / "7", "type", "size")
    for watched in (kept, gone):
        watched.wait(told("reg", size=0))
    shared.front_end.close(gone.channel)
    shared.answer(gone.channel)
    (tmp_path / "7").write_text("x")
    kept.wait(told("reg", size=1))


def _held(pid: int) -> tuple[int, int]:
    """Descriptors of a process, and what it watches by inotify."""
    watches = 0
    names = os.listdir(f"/proc/{pid}/fdinfo")
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            watches += Path(f"/proc/{pid}/fdinfo/{name}").read_text().count("inotify wd:")
    return len(names), watches


def test_nothing_is_left_of_channels(start: Start, tmp_path: Path) -> None:
    bridge = start()
    files, front_end = Files(bridge.front_end), bridge.front_end
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    Watched(files, tmp_path / "none", "type").wait(NOT_FOUND)  # inotify is open, and its own for good
    descriptors, watches = _held(bridge.pid)
    for _ in range(5):
        channels = [
            files.open("fsinfo", tmp_path, attrs=["type", "entries"], watch=True),
            files.open("fswatch1", tmp_path / "home"),
            files.open("fslist1", tmp_path),
            files.open("fsreplace1", tmp_path / "new", size=100),
            files.open("fsread1", tmp_path / "large", **{"binary": "raw", "flow-control": True}),
        ]
        for channel in channels:
            front_end.expect("ready", channel)
        for channel in channels:
            front_end.close(channel)
            files.answer(channel)
    deadline = Deadline()
    while deadline.left and _held(bridge.pid) > (descriptors, watches):
        files.look(tmp_path, "type")  # threads let go of what was held, one after another
    assert _held(bridge.pid) <= (descriptors, watches)


@pytest.mark.parametrize("path", ["/proc/self/status", "/proc"])
def test_a_file_system_that_tells_nothing(shared: Files, path: str) -> None:
    watched = Watched(shared, path, "type")
    watched.wait(lambda value: "info" in value)
