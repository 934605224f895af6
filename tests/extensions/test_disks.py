"""Disks that are full, or fail: nothing is told that is not there, and what was there stays."""

import asyncio
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock, patch

import pytest

from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.found import find, look_at
from spanbridge.extensions.life.life import Life
from spanbridge.extensions.services.audit import Audit, verify
from spanbridge.extensions.services.keeper import DatabaseFailed, Keeper

from .site import Site, hello, wait_until

ACTOR = {"name": "extension"}
FULL = """
import resource, signal, sys
from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.settings import Setting, Settings

settings = Settings(sys.argv[1], HostLog(sys.argv[2], 1_000_000))
for number in range(50):
    settings.put(f"one{number}", Setting(False, version="1"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
try:
    settings.put("more", Setting(False))
except OSError:
    sys.exit(Settings(sys.argv[1], HostLog(sys.argv[2], 1_000_000))["one3"].enabled)
sys.exit(3)
"""


def test_settings_that_do_not_fit_leave_those_of_before(tmp_path: Path) -> None:
    """The system takes the beginning of a file that is too large for the disk, and says so at the next write alone."""
    command = [sys.executable, "-c", FULL, str(tmp_path), os.devnull]
    assert subprocess.run(command, check=False).returncode == 0


def test_settings_that_cannot_be_written_keep_no_extension_away(site: Site) -> None:
    (site.state / "settings.json.new").mkdir(parents=True)
    site.extension("one", hello("return {'version': version}"))
    page = site.session()
    assert page.get("/api/ext/one/").json == {"version": "1"}
    site.extension("two", hello())
    assert page.get("/api/ext/two/").status == 200
    site.extension("one", hello("return {'version': version}"), version="2")
    wait_until(lambda: page.get("/api/ext/one/").json == {"version": "2"}, "the new version")
    (site.state / "settings.json.new").rmdir()


def test_a_head_is_told_once_it_is_on_disk(tmp_path: Path) -> None:
    log = HostLog(str(tmp_path / "host.log"), 1_000_000)
    audit = Audit(str(tmp_path), 1 << 20, log, 5)
    for _ in range(63):
        audit.write("one", ACTOR, "did", "thing", "1", None).result()
    on = threading.Event()
    keeper = audit._keeper
    keeper._db.execute("PRAGMA foreign_keys=ON")
    keeper._db.execute("CREATE TABLE p (x INTEGER PRIMARY KEY)")
    keeper._db.execute("CREATE TABLE c (x INTEGER REFERENCES p (x) DEFERRABLE INITIALLY DEFERRED)")
    keeper.do(lambda db: on.wait())
    lost = audit.write("one", ACTOR, "did", "thing", "lost", None)
    keeper.do(lambda db: db.execute("INSERT INTO c VALUES (1)").rowcount)  # what is committed with it fails
    on.set()
    with pytest.raises(DatabaseFailed, match=r"audit\.db: FOREIGN KEY"):
        lost.result()
    assert audit.write("one", ACTOR, "did", "thing", "kept", None).result() == 64
    audit.close()
    (head,) = [line for line in (tmp_path / "host.log").read_text().splitlines() if "audit-head" in line]
    assert f"seq=64 hash={verify(audit.path)['head']}" in head


def test_an_entry_is_bounded_in_bytes(tmp_path: Path) -> None:
    audit = Audit(str(tmp_path), 1 << 20, HostLog(os.devnull, 1_000_000), 5)
    with pytest.raises(ValueError, match="an entry of"):
        audit.write("one", ACTOR, "did", "thing", "1", "\N{GRINNING FACE}" * 20_000)
    with pytest.raises(ValueError, match="details"):
        audit.write("one", ACTOR, "did", "thing", "1", "\ud800")
    audit.close()


def test_a_log_whose_terminal_is_gone(tmp_path: Path) -> None:
    log = HostLog(str(tmp_path / "host.log"), 1_000_000, echo=True)
    read, write = os.pipe()
    os.close(read)
    before = os.dup(2)
    os.dup2(write, 2)
    try:
        log.info("said")
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(write)
    assert "said" in (tmp_path / "host.log").read_text()


def test_a_log_whose_close_fails_writes_to_no_other_file(tmp_path: Path) -> None:
    """The descriptor is free then, and the next file that is opened has its number."""
    log = HostLog(str(tmp_path / "host.log"), 200)
    log.info("first")
    close = os.close

    def fail(fd: int) -> None:
        close(fd)
        raise OSError(5, "input/output error")

    with patch("os.close", fail):
        log.info("x" * 300)
    with open(tmp_path / "other", "w+") as other:
        log.info("second")
        assert other.read() == ""
    assert "second" in (tmp_path / "host.log").read_text()


def _insert(db: sqlite3.Connection) -> int:
    return db.execute("INSERT INTO kept VALUES (1)").rowcount


def test_what_a_disk_undoes_as_a_whole_is_told_to_all_as_what_it_is(tmp_path: Path) -> None:
    """Not as the savepoint that is missing since."""
    path, on = tmp_path / "kept.db", threading.Event()
    keeper = Keeper(str(path), "CREATE TABLE IF NOT EXISTS kept (n INTEGER);", 5)

    def undone(db: sqlite3.Connection) -> int:
        db.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    keeper.do(lambda db: on.wait())
    together = [keeper.do(_insert), keeper.do(undone), keeper.do(_insert)]
    on.set()
    assert {str(each.exception(60)) for each in together} == {f"{path}: database or disk is full"}
    assert keeper.do(_insert).result(60) == 1
    keeper.close()


def test_a_thread_that_writes_outlives_the_end_of_memory(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path / "kept.db"), "CREATE TABLE IF NOT EXISTS kept (n INTEGER);", 5)
    db, keeper._db = keeper._db, Mock(in_transaction=False)
    keeper._db.execute.side_effect = MemoryError
    error = keeper.do(_insert).exception(60)
    assert "kept.db: out of memory (extension_memory_bytes)" in str(error)
    keeper._db = db
    assert keeper.do(_insert).result(60) == 1
    keeper.close()


def test_a_fifo_in_the_place_of_the_log_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "host.log")
    HostLog(str(tmp_path / "host.log"), 1_000).info("said")


def test_a_log_whose_older_one_cannot_be_replaced_goes_on(tmp_path: Path) -> None:
    (tmp_path / "host.log.1").mkdir()
    log = HostLog(str(tmp_path / "host.log"), 1_000)
    for number in range(100):
        log.info("said", number=number)
    said = (tmp_path / "host.log").read_text()
    assert said.endswith("info said number=99\n")
    assert "warning host-log-not-kept why=" in said
    assert len(said) <= 1_000


def _extension(directory: Path) -> None:
    (directory / "src").mkdir(parents=True)
    (directory / "src/main.py").touch()
    (directory / "package.json").write_text(json.dumps({"name": directory.name, "version": "1"}))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
@pytest.mark.parametrize(
    ("call", "place"),
    [
        ("listdir", ""),
        ("lstat", "one/package.json"),
        ("open", "one/package.json"),
        ("scandir", "one"),
        ("scandir", "one/src"),
    ],
)
def test_a_disk_that_fails_removes_no_extension(tmp_path: Path, number: int, call: str, place: str) -> None:
    for directory in ("a", "b"):
        for name in ("one", f"two-{directory}"):
            _extension(tmp_path / directory / name)
    directories = [str(tmp_path / "a"), str(tmp_path / "b")]
    before = find(directories)
    shutil.rmtree(tmp_path / "b/two-b")
    failing: list[OSError] = []

    def never(error: OSError) -> None:
        raise error

    function, failed = getattr(os, call), os.path.join(directories[0], place).rstrip("/")

    def fail(path: Any, *arguments: Any, **named: Any) -> Any:
        if path == failed:
            raise OSError(number, os.strerror(number), path)
        return function(path, *arguments, **named)

    with patch(f"os.{call}", fail):
        assert find(directories, (), before.values(), failing.append) == {
            name: before[name] for name in ("one", "two-a")
        }
        assert {each.errno for each in failing} <= {number}
        assert failing or call == "lstat"
        if call in ("open", "scandir"):
            assert os.strerror(number) in look_at(os.path.join(directories[0], "one")).broken
    assert find(directories, (), before.values(), never) == {name: before[name] for name in ("one", "two-a")}


def test_whoever_cannot_open_a_file_just_now_takes_no_extension_for_broken(tmp_path: Path) -> None:
    _extension(tmp_path / "one")

    def fail(*arguments: Any, **named: Any) -> Any:
        raise OSError(errno.EMFILE, "too many open files")

    with patch("os.open", fail), pytest.raises(OSError, match="too many"):
        find([str(tmp_path)])


def test_what_runs_goes_on_while_the_disk_fails(tmp_path: Path) -> None:
    _extension(tmp_path / "one")
    parts = MagicMock()
    parts.places.data, parts.places.alone = (str(tmp_path),), ()
    parts.settings.problem.return_value = "no version is noted"
    life = Life(parts)

    def fail(path: str) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    async def look() -> None:
        await life.look()
        known = dict(life.extensions)
        with patch("os.listdir", fail):
            await life.look()
            await life.look_at_once()
        assert life.extensions == known
        assert list(known) == ["one"]

    asyncio.run(look())
    parts.log.error.assert_called_with("look", what=f"[Errno 5] Input/output error: '{tmp_path}'")
