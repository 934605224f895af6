"""Whatever the umask is, what the host makes for itself is for it to use, and for nobody else."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from spanbridge.extensions.database.database import Database
from spanbridge.extensions.host.host import Host
from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.settings import Setting, Settings
from spanbridge.extensions.places import SOCKET, open_private
from spanbridge.extensions.services.keeper import Keeper
from spanbridge.extensions.services.push import Push
from spanbridge.operator.extending.new import make

OURS = "0o700"


@pytest.fixture(params=[0o777, 0o700, 0o000], ids=oct)
def masked(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path | str | int) -> str:
    return oct(stat.S_IMODE(os.stat(path).st_mode))


@pytest.mark.usefixtures("masked")
def test_directories(tmp_path: Path) -> None:
    os.close(open_private(str(tmp_path / "a" / "b" / "c")))
    assert [mode(tmp_path / each) for each in ("a", "a/b", "a/b/c")] == [OURS, OURS, OURS]


def test_a_directory_that_an_earlier_host_has_left(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0)
    os.close(open_private(str(tmp_path / "state")))
    assert mode(tmp_path / "state") == OURS


@pytest.mark.usefixtures("masked")
def test_files(tmp_path: Path) -> None:
    log = HostLog(str(tmp_path / "host.log"), 1_000)
    log.info("said")
    Settings(str(tmp_path), log).put("one", Setting())
    Keeper(str(tmp_path / "kept.db"), "CREATE TABLE kept (n INTEGER);", 5).close()
    limits = {"most_bytes": 1 << 20, "seconds": 5.0, "busy_seconds": 5.0, "message_bytes": 1 << 20}
    Database("one", str(tmp_path / "data.db"), Mock(), **limits).close()  # type: ignore[arg-type]
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("host.log", "settings.json", "kept.db", "data.db"), "0o600"
    )


@pytest.mark.usefixtures("masked")
def test_the_key_of_pushes(tmp_path: Path) -> None:
    pytest.importorskip("py_vapid")
    push = Push(str(tmp_path), Mock(), Mock(), 5, "mailto:a@localhost")
    asyncio.run(push.key())
    assert mode(tmp_path / "vapid.pem") == "0o600"


@pytest.mark.usefixtures("masked")
def test_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other thread makes its files under another umask meanwhile."""
    directory = open_private(str(tmp_path / "run"))
    monkeypatch.setattr("os.umask", Mock(side_effect=AssertionError))
    listener: socket.socket = Host.listen(Mock(_directory=directory))
    monkeypatch.undo()
    assert mode(tmp_path / "run" / SOCKET) == "0o600"
    listener.close()
    os.close(directory)


@pytest.mark.parametrize(("mask", "directory", "file"), [(0o777, "0o700", "0o600"), (0o027, "0o750", "0o640")])
def test_a_new_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int, directory: str, file: str) -> None:
    """It is the user's: what the umask says of others counts."""
    before = os.umask(mask)
    try:
        monkeypatch.chdir(tmp_path)
        made = Path(make("one", "extensions", javascript=False))
    finally:
        os.umask(before)
    assert {mode(path) for path in (made.parent, made, *made.iterdir()) if path.is_dir()} == {directory}
    assert {mode(path) for path in made.rglob("*") if path.is_file()} == {file}


AS_NOBODY = """
import os, sys
from unittest.mock import Mock
from spanbridge.extensions.host.host import Host
from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.settings import Setting, Settings
from spanbridge.extensions.places import open_private, places_of
from spanbridge.extensions.relay.relay import _connected
from spanbridge.extensions.services.keeper import Keeper

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.umask(0o777)
places = places_of({"HOME": sys.argv[1]})
os.mkdir(sys.argv[1] + "/.local", 0)
os.chmod(sys.argv[1] + "/.local", 0o700)
os.mkdir(sys.argv[1] + "/left", 0)
os.close(open_private(sys.argv[1] + "/left"))
run = open_private(places.run)
listener = Host.listen(Mock(_directory=run))
assert _connected(run) is not None
for again in range(2):
    log = HostLog(places.state + "/host.log", 1_000)
    log.info("said")
    assert os.path.getsize(log.path)
    Settings(places.state, log).put("one", Setting(version="1"))
    assert Settings(places.state, log)["one"].version == "1"
    Keeper(places.state + "/kept.db", "CREATE TABLE IF NOT EXISTS kept (n INTEGER);", 5).close()
"""


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_as_an_ordinary_user() -> None:
    """Root may do what modes deny."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        os.chown(home, 65534, 65534)
        command = [sys.executable, "-c", AS_NOBODY, home]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
