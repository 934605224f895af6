"""`fsreplace1`."""

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.frames import encode, encode_control

from .client import NO_FILE, Files


def left_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "new"
    answer = shared.replace(file, b"some", b"", b"\0content")
    assert answer.commands == ["ready", "done", "close"]
    assert file.read_bytes() == b"some\0content"
    assert answer.tag == shared.read(file).tag
    umask = os.umask(0)
    os.umask(umask)
    assert mode_of(file) == 0o666 & ~umask
    assert left_in(tmp_path) == ["new"]


def test_an_existing_file(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o640)
    answer = shared.replace(file, b"new")
    assert (answer.problem, file.read_bytes(), mode_of(file)) == (None, b"new", 0o640)
    assert left_in(tmp_path) == ["file"]


def test_no_data_removes(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    tag = shared.read(file).tag
    assert shared.replace(file, tag="1:other").problem == "change-conflict"
    assert file.exists()
    assert shared.replace(file, tag=tag).tag == NO_FILE
    assert not file.exists()
    assert shared.replace(file).tag == NO_FILE
    assert shared.replace(file, tag=NO_FILE).tag == NO_FILE


@pytest.mark.parametrize("raw", [True, False])
def test_an_empty_message_makes_an_empty_file(shared: Files, tmp_path: Path, raw: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    assert shared.replace(file, b"", **({"binary": "raw"} if raw else {})).problem is None
    assert file.read_bytes() == b""
    assert shared.replace(tmp_path / "other", size=0).problem is None
    assert (tmp_path / "other").read_bytes() == b""


def test_bytes_go_in_as_they_come(shared: Files, tmp_path: Path) -> None:
    shared.replace(tmp_path / "file", b"\xff\xe2", b"\x82\xac\0")
    assert (tmp_path / "file").read_bytes() == b"\xff\xe2\x82\xac\0"


def test_tags(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    first = shared.replace(file, b"one", tag=NO_FILE)
    assert first.problem is None
    conflict = shared.replace(file, b"two", tag=NO_FILE)
    assert (conflict.problem, "done" in conflict.commands, file.read_bytes()) == ("change-conflict", False, b"one")
    second = shared.replace(file, b"two", tag=first.tag)
    assert (second.problem, file.read_bytes()) == (None, b"two")
    assert shared.replace(file, b"three", tag=first.tag).problem == "change-conflict"
    assert file.read_bytes() == b"two"
    assert left_in(tmp_path) == ["file"]


def test_two_writes_on_one_time_have_two_tags(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    os.utime(file, ns=(5, 5))
    tag = shared.read(file).tag
    with file.open("ab") as more:
        more.write(b"more")
    os.utime(file, ns=(5, 5))
    assert shared.replace(file, b"new", tag=tag).problem == "change-conflict"


def test_of_writers_with_one_tag_one_wins(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    tag = shared.read(file).tag
    channels = [shared.open("fsreplace1", file, tag=tag) for _ in range(20)]
    for number, channel in enumerate(channels):
        shared.front_end.send(channel, b"%d" % number)
    for channel in channels:
        shared.front_end.control("done", channel=channel)
    answers = [shared.answer(channel) for channel in channels]
    winners = [number for number, answer in enumerate(answers) if answer.problem is None]
    assert len(winners) == 1
    assert {answer.problem for answer in answers} == {None, "change-conflict"}
    assert file.read_bytes() == b"%d" % winners[0]
    assert left_in(tmp_path) == ["file"]


@pytest.mark.parametrize("how", ["close", "close with a problem", "kill"])
def test_without_done_all_stays_as_it_was(shared: Files, tmp_path: Path, how: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    channel = shared.open("fsreplace1", file, group="to-be-killed", **{"send-acks": "bytes"})
    shared.front_end.send(channel, b"new")
    shared.front_end.expect("ack", channel, bytes=3)
    if how == "kill":
        shared.front_end.control("kill", group="to-be-killed")
    else:
        shared.front_end.close(channel, **({"problem": "disconnected"} if "problem" in how else {}))
    shared.answer(channel)
    shared.read(file)
    assert file.read_bytes() == b"old"
    assert left_in(tmp_path) == ["file"]


def test_a_close_after_done_does_not_undo_it(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    channel = shared.open("fsreplace1", file)
    shared.front_end.send(channel, b"new")
    shared.front_end.control("done", channel=channel)
    shared.front_end.close(channel)
    shared.answer(channel)
    watched = shared.open("fsinfo", file, attrs=["size"], watch=True)
    shared.front_end.wait_until(lambda: b'"size":3' in shared.front_end.data_so_far(watched), "the new file")
    assert file.read_bytes() == b"new"


def test_the_end_of_the_session_finishes_what_is_done(files: Files, tmp_path: Path) -> None:
    done, undone = tmp_path / "done", tmp_path / "undone"
    for file in (done, undone):
        channel = files.open("fsreplace1", file)
        files.front_end.send(channel, b"x" * 100_000)
        if file is done:
            files.front_end.control("done", channel=channel)
    files.front_end.hang_up()
    files.front_end.read_to_end()
    assert left_in(tmp_path) == ["done", "home"]
    assert len(done.read_bytes()) == 100_000


def test_what_comes_after_done_is_an_error(shared: Files, tmp_path: Path) -> None:
    channel = shared.open("fsreplace1", tmp_path / "file", tag="1:none")
    shared.front_end.send(channel, b"x")
    shared.front_end.control("done", channel=channel)
    shared.front_end.control("done", channel=channel)
    assert shared.answer(channel).problem in ("protocol-error", "change-conflict")


def test_data_after_done_undoes_it_if_it_is_not_too_late(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    for _ in range(50):
        channel = shared.open("fsreplace1", file)
        shared.front_end.write(
            encode(channel, b"new") + encode_control({"command": "done", "channel": channel}) + encode(channel, b"more")
        )
        assert shared.answer(channel).problem == "protocol-error"
    for _ in range(20):
        shared.read(file)
    assert file.read_bytes() == b"old"
    assert left_in(tmp_path) == ["file"]


# Sizes


def test_a_size_is_allocated_before_ready(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    channel = shared.open("fsreplace1", file, size=1 << 20)
    shared.front_end.expect("ready", channel)
    assert not file.exists()
    shared.front_end.send(channel, b"short")
    shared.front_end.control("done", channel=channel)
    assert shared.answer(channel).problem is None
    assert file.read_bytes() == b"short"
    assert shared.replace(file, b"longer than that", size=3).problem is None
    assert file.read_bytes() == b"longer than that"


def test_a_size_that_is_refused(shared: Files, tmp_path: Path) -> None:
    answer = shared.replace(tmp_path / "file", b"x", size=1 << 62)
    assert (answer.commands, answer.problem) == (["close"], "internal-error")
    assert str(tmp_path / "file") in answer.close["message"]


def test_with_a_size_the_path_is_looked_at_first(shared: Files, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for path, problem in ((tmp_path / "no" / "file", "not-found"), (tmp_path / "directory", "access-denied")):
        channel = shared.open("fsreplace1", path, size=10)
        answer = shared.answer(channel)
        assert (answer.commands, answer.problem) == (["close"], problem)
        later = shared.open("fsreplace1", path)
        shared.front_end.expect("ready", later)
        shared.front_end.send(later, b"x")
        shared.front_end.control("done", channel=later)
        assert shared.answer(later).problem == problem


@pytest.mark.parametrize(
    "options",
    [
        {"size": -1},
        {"size": "1"},
        {"size": True},
        {"size": 1 << 63},
        {"tag": 1},
        {"binary": "hex"},
        {"attrs": []},
        {"attrs": {"mode": "644"}},
        {"attrs": {"mode": 0o10000}},
        {"attrs": {"mode": -1}},
        {"attrs": {"user": "root"}},
        {"attrs": {"group": 0}},
        {"attrs": {"user": "root", "group": -1}},
        {"attrs": {"user": True, "group": 0}},
        {"send-acks": "frames"},
    ],
)
def test_options_that_cannot_be(shared: Files, tmp_path: Path, options: dict[str, Any]) -> None:
    answer = shared.answer(shared.open("fsreplace1", tmp_path / "file", **options))
    assert (answer.commands, answer.problem) == (["close"], "protocol-error")
    assert isinstance(options.get("attrs"), dict) == ("unsupported-attrs" in answer.close)


def test_attrs_that_nobody_knows(shared: Files, tmp_path: Path) -> None:
    answer = shared.answer(shared.open("fsreplace1", tmp_path / "file", attrs={"mode": 0o600, "color": 1, "size": 2}))
    assert (answer.problem, answer.close["unsupported-attrs"]) == ("protocol-error", ["color", "size"])
    assert shared.answer(shared.open("fsreplace1", "/x", capabilities=["attrs", "magic"])).close["capabilities"] == [
        "attrs"
    ]
    channel = shared.open("fsreplace1", tmp_path / "file", capabilities=["attrs"])
    shared.front_end.expect("ready", channel)
    shared.front_end.close(channel)
    shared.answer(channel)


# Owner, mode


def test_a_mode_that_is_asked_for(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert shared.replace(file, b"x", attrs={"mode": 0o604}).problem is None
    assert mode_of(file) == 0o604
    assert shared.replace(file, b"y").problem is None
    assert mode_of(file) == 0o604
    assert shared.replace(file, b"z", tag=shared.read(file).tag, attrs={"mode": 0o4750}).problem is None
    assert mode_of(file) == 0o4750


def test_oneself_as_owner(shared: Files, tmp_path: Path) -> None:
    names = {"user": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
    numbers = {"user": os.getuid(), "group": float(os.getgid())}
    for attrs in (names, numbers):
        assert shared.replace(tmp_path / "file", b"x", attrs=attrs).problem is None
    for attrs in ({**names, "user": "no-such-user"}, {**names, "group": "no-such-group"}):
        answer = shared.replace(tmp_path / "file", b"x", attrs=attrs)
        assert (answer.commands, answer.problem) == (["close"], "not-found")


def test_it_is_for_oneself_until_it_is_whole(shared: Files, tmp_path: Path) -> None:
    """Nothing of it can be found while it is written."""
    channel = shared.open("fsreplace1", tmp_path / "file", **{"send-acks": "bytes"})
    shared.front_end.send(channel, b"secret")
    shared.front_end.expect("ack", channel)
    assert left_in(tmp_path) == []
    shared.front_end.control("done", channel=channel)
    shared.answer(channel)


# What is there


def test_a_link_is_replaced_and_its_target_stays(shared: Files, tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o604)
    link.symlink_to(target)
    assert shared.replace(link, b"new", tag=shared.read(link).tag).problem is None
    assert not link.is_symlink()
    assert (link.read_bytes(), mode_of(link), target.read_bytes()) == (b"new", 0o604, b"old")


def test_a_link_that_leads_nowhere(shared: Files, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nothing")
    assert shared.read(link).tag == NO_FILE
    assert shared.replace(link, b"new", tag=NO_FILE).problem == "change-conflict"
    assert link.is_symlink()
    assert shared.replace(link, b"new").problem is None
    assert link.read_bytes() == b"new"
    assert left_in(tmp_path) == ["link"]


def test_a_link_to_a_directory_is_replaced(shared: Files, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    link = tmp_path / "link"
    link.symlink_to("directory")
    assert shared.replace(link, b"new").problem is None
    assert link.read_bytes() == b"new"


@pytest.mark.parametrize("data", [(b"x",), ()])
@pytest.mark.parametrize("path", ["directory", "directory/", ".", ".."])
def test_a_directory_is_not_replaced(shared: Files, tmp_path: Path, path: str, data: tuple[bytes, ...]) -> None:
    (tmp_path / "directory").mkdir()
    answer = shared.replace(f"{tmp_path}/{path}", *data)
    assert answer.problem == "access-denied"
    assert left_in(tmp_path) == ["directory"]


def test_a_fifo_is_replaced(shared: Files, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert shared.replace(tmp_path / "fifo", b"x").problem is None
    assert (tmp_path / "fifo").read_bytes() == b"x"


def test_names(shared: Files, tmp_path: Path) -> None:
    for name in (b"bad\xff", b"n" * 255, "\u20ac".encode() * 85):
        path = os.fsencode(tmp_path) + b"/" + name
        for content in (b"one", b"two"):
            assert shared.replace(path, content).problem is None
            assert Path(os.fsdecode(path)).read_bytes() == content
    assert len(left_in(tmp_path)) == 3
    assert shared.replace(os.fsencode(tmp_path) + b"/" + b"n" * 256, b"x").problem == "internal-error"


# Attributes that not every file has


def test_extended_attributes_are_kept(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    try:
        os.setxattr(file, "user.color", b"blue")
    except OSError:
        pytest.skip("no extended attributes here")
    for options in ({"tag": shared.read(file).tag}, {}):
        assert shared.replace(file, b"new", **options).problem is None
        assert os.getxattr(file, "user.color") == b"blue"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access list: tag, permissions, id."""
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + ident.to_bytes(4, "little")
        for tag, perm, ident in entries
    )


NOBODY_ID = 0xFFFF_FFFF
WITH_A_USER = acl((1, 6, NOBODY_ID), (2, 4, 65_534), (4, 0, NOBODY_ID), (0x10, 4, NOBODY_ID), (0x20, 0, NOBODY_ID))


def set_list(path: Path, kind: str, value: bytes) -> None:
    try:
        os.setxattr(path, f"system.posix_acl_{kind}", value)
    except OSError:
        pytest.skip("no access lists here")


def test_an_access_list_is_kept(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    set_list(file, "access", WITH_A_USER)
    for options in ({"tag": shared.read(file).tag}, {}):
        assert shared.replace(file, b"new", **options).problem is None
        assert os.getxattr(file, "system.posix_acl_access") == WITH_A_USER
    assert shared.replace(file, b"new", attrs={"mode": 0o640}).problem is None
    assert "system.posix_acl_access" not in os.listxattr(file)
    assert mode_of(file) == 0o640


def test_an_access_list_of_the_directory(shared: Files, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o640)
    set_list(tmp_path, "default", WITH_A_USER)
    (tmp_path / "made").touch(0o666)
    assert shared.replace(tmp_path / "new", b"x").problem is None
    for kind in (os.listxattr, lambda path: os.getxattr(path, "system.posix_acl_access"), mode_of):
        assert kind(tmp_path / "new") == kind(tmp_path / "made")
    assert shared.replace(old, b"new").problem is None
    assert os.listxattr(old) == []  # nobody may read it who could not before
    assert mode_of(old) == 0o640


# Flow


def test_acks_and_pongs_come_when_it_is_written(shared: Files, tmp_path: Path) -> None:
    front_end = shared.front_end
    channel = shared.open("fsreplace1", tmp_path / "file", **{"send-acks": "bytes"})
    for size in (5, 0, 40_000):
        front_end.send(channel, b"x" * size)
    front_end.control("ping", channel=channel, cookie="a")
    assert [front_end.expect("ack", channel)["bytes"] for _ in range(3)] == [5, 0, 40_000]
    front_end.expect("pong", channel, cookie="a")
    front_end.control("done", channel=channel)
    assert shared.answer(channel).problem is None


@pytest.mark.parametrize("acks", [True, False])
def test_a_large_file(shared: Files, tmp_path: Path, acks: bool) -> None:
    content = os.urandom(12 << 20)
    channel = shared.open("fsreplace1", tmp_path / "file", binary="raw", **({"send-acks": "bytes"} if acks else {}))
    pieces = [content[at : at + 65_000] for at in range(0, len(content), 65_000)]
    for piece in pieces:
        shared.front_end.send(channel, piece)
    shared.front_end.control("done", channel=channel)
    answer = shared.answer(channel)
    assert answer.problem is None
    assert (tmp_path / "file").read_bytes() == content
    sizes = [each.message["bytes"] for each in answer.frames if each.message["command"] == "ack"]
    assert sizes == [len(piece) for piece in pieces] * acks
