"""A umask that masks the bits of the owner: what the bridge makes for itself is for it to use all the same."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.helpers.hosts import packing
from spanbridge.helpers.hosts.askpass_socket import AskpassSocket
from spanbridge.log import Log
from spanbridge.operator.extending.inspect import backup
from spanbridge.payloads.files.directory import Directory
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home
from spanbridge.wire.private_directory import private_directory, private_file

SHELL = ["/bin/sh", "-c", 'umask 0777; exec "$0" "$@"']


@pytest.fixture
def masked() -> Iterator[None]:
    before = os.umask(0o777)
    yield
    os.umask(before)


def mode(path: Path | str | int) -> str:
    return oct(stat.S_IMODE(os.stat(path).st_mode))


@pytest.mark.parametrize("left_over", [False, True], ids=["new", "of an earlier bridge"])
def test_directories_and_sockets_of_a_session(home: Home, left_over: bool) -> None:
    ours = home.runtime / "spanbridge"
    if left_over:
        ours.mkdir(mode=0)
    with Bridge(home, command=[*SHELL, str(SPANBRIDGE)], environ={"SSH_AUTH_SOCK": ""}) as bridge:
        front = bridge.front_end
        front.expect("init", version=1)
        front.init()
        front.open("a", "stream", spawn=["/bin/sh", "-c", 'stat -c %a "${SSH_AUTH_SOCK%/*}"'])
        assert front.data("a", 4) == b"700\n"
        (socket,) = ours.iterdir()
        assert [mode(path) for path in (ours, socket)] == ["0o700", "0o600"]


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize("runtime", [True, False])
def test_a_private_directory(tmp_path: Path, runtime: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = private_directory({"XDG_RUNTIME_DIR": str(tmp_path)} if runtime else {}, "x-")
    fd, file = private_file(directory, "y-")
    os.close(fd)
    assert [mode(path) for path in (directory, file)] == ["0o700", "0o600"]


@pytest.mark.usefixtures("masked")
def test_what_is_packed_for_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "packed", lambda: b"parcel")
    monkeypatch.setattr("sys.argv", ["packing", str(tmp_path / "parcel")])
    assert packing.main() == 0
    assert mode(tmp_path / "parcel") == "0o600"


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize("hidden", [False, True])
def test_a_new_file(tmp_path: Path, hidden: bool) -> None:
    """Extended attributes are given to what one may write to; the mode that it is to have comes last."""
    directory = Directory(bytes(tmp_path / "file"))
    fd = directory.hidden_file()[0] if hidden else directory.unnamed_file()
    assert mode(fd) == "0o600"
    os.close(fd)
    directory.close()


@pytest.mark.usefixtures("masked")
def test_the_socket_for_questions_of_ssh(tmp_path: Path) -> None:
    async def listen() -> None:
        listening = AskpassSocket(asyncio.get_running_loop(), Log(), str(tmp_path))
        assert mode(tmp_path / "askpass") == "0o600"
        listening.close()

    asyncio.run(listen())


def test_the_copy_of_a_database(tmp_path: Path, masked: None) -> None:
    with sqlite3.connect(tmp_path / "one.db") as db:
        db.execute("CREATE TABLE t (x)")
    os.chmod(tmp_path / "one.db", 0o600)
    backup(str(tmp_path / "one.db"), str(tmp_path / "copy.db"))
    assert mode(tmp_path / "copy.db") == "0o600"
