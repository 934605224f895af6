"""The same opens to spanbridge, to the C cockpit-bridge and to the Python one, side by side.

What differs on purpose is in docs/files.md, "What differs from cockpit-bridge", and not asked for here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home

from ..browser.front_ends import BACKPORTS
from ..browser.parts import COCKPIT_BRIDGE, require
from ..missing import lack
from .client import NO_FILE, Answer, Files, Watched

pytestmark = pytest.mark.cockpit

_PYTHON: Final = BACKPORTS / "usr/lib/python3/dist-packages"


def _commands() -> dict[str, list[str]]:
    require(COCKPIT_BRIDGE)
    if not _PYTHON.is_dir():
        lack(f"missing: {_PYTHON} (.ci/fetch-backports {BACKPORTS})")
    run = f'import sys; sys.path.insert(0, "{_PYTHON}"); from cockpit.bridge import main; main()'
    return {"ours": [str(SPANBRIDGE)], "C": [COCKPIT_BRIDGE], "Python": ["/usr/bin/python3", "-c", run]}


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Files]]:
    commands = _commands()
    with ExitStack() as stack:
        found = {}
        for name, command in commands.items():
            home = Home(tmp_path_factory.mktemp(name))
            # Theirs start a bus and an agent where they find none.
            environ = {
                "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home.root}/no-bus",
                "SSH_AUTH_SOCK": f"{home.root}/no-agent",
            }
            bridge = stack.enter_context(Bridge(home, command=command, environ=environ))
            bridge.front_end.expect("init", version=1)
            bridge.front_end.init()
            found[name] = Files(bridge.front_end)
        yield found


def told(answer: Answer, tags: dict[str, str]) -> Any:
    """What a page notices: data, problem, and of tags whether they are the same."""
    tag = answer.tag
    if tag is not None and tag != NO_FILE:
        tag = tags.setdefault(tag, f"tag {len(tags)}")
    return answer.data, answer.problem, tag


Steps = Callable[[Files, Path], Iterator[Answer]]


def alike(peers: dict[str, Files], root: Path, names: tuple[str, ...], steps: Steps) -> None:
    """Each of them takes the steps in a directory of its own, and is told the same."""
    found = {}
    for name in names:
        directory = root / name
        directory.mkdir()
        tags: dict[str, str] = {}
        found[name] = [told(answer, tags) for answer in steps(peers[name], directory)]
    first, *others = names
    for other in others:
        assert found[first] == found[other], f"{first} and {other}"


ALL: Final = ("ours", "C", "Python")


def test_reading(peers: dict[str, Files], tmp_path: Path) -> None:
    def steps(files: Files, directory: Path) -> Iterator[Answer]:
        file = directory / "file"
        yield files.read(file)
        file.write_bytes(b"content\xff")
        yield files.read(file)
        yield files.read(file)
        yield files.read(file, max_read_size=8)
        yield files.read(file, max_read_size=7)
        file.write_bytes(b"content")
        yield files.read(file, raw=False)
        yield files.read(directory / "no" / "file")

    alike(peers, tmp_path, ALL, steps)


def test_replacing(peers: dict[str, Files], tmp_path: Path) -> None:
    def steps(files: Files, directory: Path) -> Iterator[Answer]:
        file = directory / "file"
        first = files.replace(file, b"one", tag=NO_FILE)
        yield first
        yield files.replace(file, b"two", tag=NO_FILE)
        yield files.replace(file, b"two, longer", tag=first.tag)
        yield files.replace(file, b"three", tag=first.tag)
        yield files.read(file)
        yield files.replace(file, b"", b"four")
        yield files.replace(file)
        yield files.replace(file, tag=NO_FILE)
        yield files.read(file)
        yield files.replace(directory / "no" / "file", b"x")

    # The C bridge says `not-found` with an end of its own to a missing parent, and is asked for the rest alone.
    alike(peers, tmp_path, ("ours", "Python"), steps)


def test_a_link_is_replaced(peers: dict[str, Files], tmp_path: Path) -> None:
    def steps(files: Files, directory: Path) -> Iterator[Answer]:
        (directory / "target").write_bytes(b"old")
        (directory / "link").symlink_to("target")
        yield files.replace(directory / "link", b"new")
        yield files.read(directory / "link")
        yield files.read(directory / "target")

    alike(peers, tmp_path, ALL, steps)


@pytest.mark.parametrize("options", [{"watch": False}, {"watch": True}])
def test_looking(peers: dict[str, Files], tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "up").symlink_to("../..")
    (tmp_path / "lost").symlink_to("/no/such")
    os.mkfifo(tmp_path / "fifo")
    attrs = ("type", "mode", "size", "mtime", "uid", "gid", "user", "group", "target", "entries", "targets")
    for path in (tmp_path, *(f"{tmp_path}/{name}" for name in ("file", "link", "none", "file/", "fifo"))):
        for pattern in ("*", "[!l]*"):
            values = []
            for name in ("ours", "Python"):
                watched = Watched(peers[name], path, *attrs, fnmatch=pattern, **options)
                watched.wait(bool)
                values.append(watched.value)
                if options["watch"]:
                    peers[name].front_end.close(watched.channel)
                peers[name].answer(watched.channel)
            ours, theirs = values
            if "entries" not in theirs.get("info", {}):  # theirs has targets of what has no entries, too
                theirs.get("info", {}).pop("targets", None)
            assert _differences(ours, theirs) == [], (path, pattern)


def _differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted({*ours, *theirs})
        return [each for name in names for each in _differences(ours.get(name), theirs.get(name), f"{where}.{name}")]
    return [] if ours == theirs else [f"{where}: {ours!r}, theirs {theirs!r}"]


def test_watching(peers: dict[str, Files], tmp_path: Path) -> None:
    path = tmp_path / "a" / "path"
    watches = [Watched(peers[name], path, "type", "size", "entries", fnmatch="*") for name in ("ours", "Python")]
    changes: list[tuple[Callable[[], object], Callable[[Any], object]]] = [
        (lambda: None, lambda value: "error" in value),
        (lambda: path.mkdir(parents=True), lambda value: value.get("info", {}).get("type") == "dir"),
        ((path / "entry").touch, lambda value: value["info"]["entries"] == {"entry": {"type": "reg", "size": 0}}),
        ((path / "entry").unlink, lambda value: value["info"]["entries"] == {}),
        (lambda: path.parent.rename(tmp_path / "away"), lambda value: "error" in value),
    ]
    for change, wanted in changes:
        change()
        for watched in watches:
            watched.wait(wanted)
        assert watches[0].value == watches[1].value


def test_listing(peers: dict[str, Files], tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "file").touch()
    (place / "directory").mkdir()
    (place / "link").symlink_to("directory")
    found = {}
    for name in ALL:
        messages = peers[name].list(place).messages
        keys = ("event", "path", "type")
        found[name] = sorted((tuple(message[key] for key in keys) for message in messages), key=str)
    assert found["ours"] == found["Python"]
    # The C bridge tells what a link leads to.
    assert [each[:2] for each in found["ours"]] == [each[:2] for each in found["C"]]
    for path in (place / "none", place / "file"):
        assert peers["ours"].list(path).problem == peers["C"].list(path).problem
