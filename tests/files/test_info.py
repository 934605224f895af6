"""`fsinfo` without watching."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.start import Start

from .client import Files, Watched, merged

NOT_FOUND = {"problem": "not-found", "message": "No such file or directory", "errno": "ENOENT"}
NOT_DIRECTORY = {"problem": "not-directory", "message": "Not a directory", "errno": "ENOTDIR"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """One of each kind."""
    place = tmp_path / "tree"
    place.mkdir()
    (place / "reg").write_bytes(b"12345")
    (place / "reg").chmod(0o640)
    (place / "dir").mkdir()
    (place / "lnk").symlink_to("reg")
    os.mkfifo(place / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fsdecode(place / "sock"))
    return place


KINDS = {name: {"type": name} for name in ("reg", "dir", "lnk", "fifo", "sock")}


def test_attributes(shared: Files, tree: Path) -> None:
    told = shared.look(tree / "reg", "type", "mode", "size", "mtime", "uid", "gid", "user", "group", "target", "tag")
    found = (tree / "reg").stat()
    assert told == {
        "info": {
            "type": "reg",
            "mode": 0o640,
            "size": 5,
            "mtime": found.st_mtime,
            "uid": found.st_uid,
            "gid": found.st_gid,
            "user": (tree / "reg").owner(),
            "group": (tree / "reg").group(),
            "tag": shared.read(tree / "reg").tag,
        }
    }
    assert shared.look(tree / "reg") == {"info": {}}
    assert shared.look(tree / "reg", "no-such", "size") == {"info": {"size": 5}}
    assert shared.look(tree / "reg", "r-ok", "x-ok")["info"]["r-ok"] is True
    rights = shared.look(tree, "r-ok", "w-ok", "x-ok", "entries")["info"]["entries"]
    assert set(rights["lnk"]) == set(rights["dir"]) == {"r-ok", "w-ok", "x-ok"}
    assert rights["dir"]["x-ok"] is True
    assert rights["reg"]["x-ok"] is False
    assert shared.look("/dev/null", "type") == {"info": {"type": "chr"}}


def test_links(shared: Files, tree: Path) -> None:
    assert shared.look(tree / "lnk", "type", "target") == {"info": {"type": "reg"}}
    assert shared.look(tree / "lnk", "type", "target", follow=False) == {"info": {"type": "lnk", "target": "reg"}}
    assert shared.look(tree / "reg", "type", "target", follow=False) == {"info": {"type": "reg"}}
    (tree / "loop").symlink_to("loop")
    assert shared.look(tree / "loop", "type")["error"]["errno"] == "ELOOP"
    assert shared.look(tree / "loop", "type", follow=False) == {"info": {"type": "lnk"}}


def test_errors(shared: Files, tree: Path) -> None:
    assert shared.look(tree / "none", "type") == {"error": NOT_FOUND}
    assert shared.look(tree / "reg" / "below", "type") == {"error": NOT_DIRECTORY}
    assert shared.look(f"{tree}/reg/", "type") == {"error": NOT_DIRECTORY}
    assert shared.look(f"{tree}/lnk/", "type") == {"error": NOT_DIRECTORY}
    assert shared.look(f"{tree}/dir/", "type") == {"info": {"type": "dir"}}
    assert shared.look("/" + "n" * 256, "type")["error"]["problem"] == "internal-error"


@pytest.mark.parametrize("watch", [False, True])
def test_a_directory_that_fails_while_it_is_listed(shared: Files, watch: bool) -> None:
    """The kernel opens that of a process that has ended, and refuses to list it."""
    with subprocess.Popen("true") as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        watched = Watched(shared, f"/proc/{process.pid}/net", "type", "entries", watch=watch)
        watched.wait({"error": {"problem": "internal-error", "message": "Invalid argument", "errno": "EINVAL"}})
        if watch:
            shared.front_end.close(watched.channel)
        assert shared.answer(watched.channel).problem is None


def test_entries(shared: Files, tree: Path) -> None:
    assert shared.look(tree, "type", "entries") == {"info": {"type": "dir", "entries": KINDS}}
    assert shared.look(tree, "entries") == {"info": {"entries": {name: {} for name in KINDS}}}
    sizes = shared.look(tree, "type", "size", "target", "entries")["info"]["entries"]
    assert sizes["reg"] == {"type": "reg", "size": 5}
    assert sizes["lnk"] == {"type": "lnk", "size": 3, "target": "reg"}
    assert shared.look(tree / "dir", "type", "entries") == {"info": {"type": "dir", "entries": {}}}
    assert shared.look(tree / "reg", "type", "entries") == {"info": {"type": "reg"}}
    assert shared.look(tree, "type") == {"info": {"type": "dir"}}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", {"reg", "dir", "lnk", "fifo", "sock"}),
        ("?e?", {"reg"}),
        ("[rd]*", {"reg", "dir"}),
        ("[!rd]*", {"lnk", "fifo", "sock"}),
        ("R*", set()),
        ("", None),
        ("[", set()),
        ("*" * 200 + "x", set()),
    ],
)
def test_patterns(shared: Files, tree: Path, pattern: str, found: set[str] | None) -> None:
    entries = shared.look(tree, "entries", fnmatch=pattern)["info"].get("entries")
    assert (entries if entries is None else set(entries)) == found
    assert ("entries" in shared.look(tree, "type", fnmatch=pattern)["info"]) == bool(pattern)


def test_dots_match(shared: Files, tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    assert ".hidden" in shared.look(tmp_path, "entries")["info"]["entries"]


def test_targets(shared: Files, tree: Path) -> None:
    (tree / "up").symlink_to("..")
    (tree / "here").symlink_to(".")
    (tree / "inner").symlink_to("dir")
    (tree / "away").symlink_to("/dev/null")
    (tree / "dangling").symlink_to("/no/such")
    (tree / "lost").symlink_to("lost-target")
    (tree / "odd").symlink_to("./reg")
    (tree / "closed").symlink_to("reg/below")
    told = shared.look(tree, "type", "targets", "entries")["info"]
    assert told["targets"] == {
        "..": {"type": "dir"},
        "/dev/null": {"type": "chr"},
        "./reg": {"type": "reg"},
        "reg/below": {},
    }
    narrow = shared.look(tree, "type", "targets", fnmatch="[il]n*")["info"]
    assert narrow["entries"] == {"inner": {"type": "lnk"}, "lnk": {"type": "lnk"}}
    assert narrow["targets"] == {"dir": {"type": "dir"}, "reg": {"type": "reg"}}
    assert "targets" not in shared.look(tree / "reg", "type", "targets", "entries")["info"]
    assert shared.look(tree / "dir", "targets", "entries")["info"] == {"entries": {}, "targets": {}}


def test_names_that_are_not_utf8(shared: Files, tmp_path: Path) -> None:
    bad = os.fsencode(tmp_path) + b"/bad\xff"
    Path(os.fsdecode(bad)).mkdir()
    (tmp_path / "lnk").symlink_to("bad\udcff")
    (tmp_path / "good").touch()
    answer = shared.answer(
        shared.open("fsinfo", tmp_path, attrs=["type", "target", "entries", "targets"], fnmatch="[!h]*")
    )
    assert rb'"bad\udcff"' in answer.data
    assert merged(answer.messages)["info"]["entries"] == {
        "bad\udcff": {"type": "dir"},
        "good": {"type": "reg"},
        "lnk": {"type": "lnk", "target": "bad\udcff"},
    }
    assert shared.look(bad, "type", "entries") == {"info": {"type": "dir", "entries": {}}}


@pytest.mark.parametrize(
    "options",
    [
        {"attrs": None},
        {"attrs": "type"},
        {"attrs": [1]},
        {"attrs": ["type"], "fnmatch": 1},
        {"attrs": ["type"], "fnmatch": "[" * 1_025},
        {"attrs": ["type"], "follow": "no"},
        {"attrs": ["type"], "watch": 1},
        {"attrs": ["type"], "follow": False, "watch": True},
        {"attrs": ["targets"], "follow": False},
    ],
)
def test_options_that_cannot_be(shared: Files, options: dict[str, Any]) -> None:
    answer = shared.answer(shared.open("fsinfo", "/", **options))
    assert (answer.commands, answer.problem) == (["close"], "protocol-error")
    assert shared.answer(shared.open("fsinfo", "relative", attrs=[])).problem == "protocol-error"


# Large directories


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 entries, names of one file."""
    place = tmp_path_factory.mktemp("crowd")
    first = place / "entry-0"
    first.touch()
    for number in range(1, 100_000):
        try:
            os.link(first, place / f"entry-{number}")
        except OSError:  # so many links one file may not have
            first = place / f"entry-{number}"
            first.touch()
    return place


def test_a_large_directory_comes_in_pieces_and_holds_nobody_up(shared: Files, crowd: Path) -> None:
    front_end = shared.front_end
    front_end.open("beside", "echo")
    channel = shared.open("fsinfo", crowd, attrs=["type", "size", "user", "entries", "targets"])
    front_end.expect("ready", channel)
    trips = 0
    while "close" not in front_end.commands(channel):
        front_end.round_trip("beside")
        trips += 1
    assert trips > 20
    front_end.close("beside")
    answer = shared.answer(channel)
    assert max(len(frame.payload) for frame in answer.frames) <= 64 << 10
    first, *_, last = answer.messages
    assert (first["partial"], last["partial"]) == (True, None)
    told = merged(answer.messages)["info"]
    assert (len(told["entries"]), told["targets"]) == (100_000, {})


def test_too_many_entries(start: Start, tmp_path: Path) -> None:
    files = Files(start(limits={"info_entries": 1_000}).front_end)
    place = tmp_path / "place"
    place.mkdir()
    for number in range(1_200):
        (place / f"{'long-name-' * 20}{number}").touch()
    told = files.look(place, "type", "entries")
    assert told == {
        "error": {"problem": "internal-error", "message": "more than 1000 entries (info_entries)", "errno": "EOVERFLOW"}
    }
    assert len(files.look(place, "entries", fnmatch="*0")["info"]["entries"]) == 120
