"""No bridge on the far side, but a Python: ours is sent, into memory."""

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from spanbridge.helpers.hosts.sending import Parcel, fits
from spanbridge.protocol.problems import Problem
from spanbridge.testing.plugin import Start

from ..bus.without_process import workbench
from .farm import Farm
from .test_connect import SESSIONS, echo


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


OURS = f"{sys.version_info[0]} {sys.version_info[1]} {os.uname().machine} {platform.libc_ver()[0]}"


@pytest.mark.parametrize(
    ("told", "same"),
    [
        (f"{OURS} 2.36", True),
        (f"{OURS} 9.99", True),
        (OURS, True),
        (f"3 {sys.version_info[1] + 1} {os.uname().machine} {platform.libc_ver()[0]} 2.36", False),
        (f"3 {sys.version_info[1]} riscv64 {platform.libc_ver()[0]} 2.36", False),
        (f"3 {sys.version_info[1]} {os.uname().machine} musl 1.2", False),
        (f"3 {sys.version_info[1]} {os.uname().machine}", False),
        ("", False),
    ],
)
def test_what_fits(told: str, same: bool) -> None:
    assert fits(told) == same


def test_it_serves_and_leaves_nothing_on_disk(other: Farm, begin: Start) -> None:
    other.use_key()
    home = other.home("python")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    bridge = begin()
    for channel, session in zip("ab", SESSIONS, strict=True):
        echo(bridge, "python@far", channel, session=session)
    assert len(bridge.log.matches("host-connected .*program=sent")) == 2
    front = bridge.front_end
    front.open("s", "stream", host="python@far", spawn=["sh", "-c", "cat; exit 3"])
    front.expect("ready", "s")
    front.send("s", b"over there")
    assert front.data("s", 10) == b"over there"
    front.control("done", channel="s")
    assert front.expect("close", "s")["exit-status"] == 3
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_one_that_does_not_fit(other: Farm, begin: Start) -> None:
    other.use_key()
    front = begin().front_end
    front.open("a", "echo", host="otherpython@far")
    closed = front.expect("close", "a")
    assert closed["problem"] == "no-cockpit"
    assert "install" in closed["message"]


def test_packing_may_not_take_for_ever(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin(limits={"host_pack_seconds": 0.001})
    bridge.front_end.open("a", "echo", host="python@far")
    bridge.front_end.expect("close", "a", problem="no-cockpit")
    assert bridge.log.wait("not-sent .*timed out")


@pytest.mark.anyio
async def test_no_descriptor_is_left_to_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "no descriptor")

    async with workbench(tmp_path) as bench:
        monkeypatch.setattr(os, "pipe2", none_left)
        with pytest.raises(Problem, match=r"cannot be sent: .*no descriptor"):
            await Parcel(bench.services.context, os.environ, str(tmp_path)).read()
        monkeypatch.undo()


@pytest.mark.anyio
async def test_nobody_packs_on_for_one_who_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the end of the session wait for that."""
    os.mkfifo(tmp_path / "pipe")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec 5>{tmp_path}/pipe\necho >&5\nexec sleep 100000\n")
    python.chmod(0o755)
    heard = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(sys, "executable", str(python))
    async with workbench(tmp_path) as bench, anyio.create_task_group() as tasks:
        tasks.start_soon(Parcel(bench.services.context, os.environ, str(tmp_path)).read)
        with anyio.fail_after(20):
            await anyio.wait_readable(heard)
        assert os.read(heard, 100) == b"\n"
        tasks.cancel_scope.cancel()
    assert os.read(heard, 100) == b""
    os.close(heard)


@pytest.mark.anyio
async def test_why_it_cannot_be_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2; echo last >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    async with workbench(tmp_path) as bench:
        with pytest.raises(Problem, match=r"^this bridge cannot be sent: packing failed: last$"):
            await Parcel(bench.services.context, os.environ, str(tmp_path)).read()


def test_it_can_be_turned_off(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin(limits={"host_send": 0})
    bridge.front_end.open("a", "echo", host="python@far")
    assert bridge.front_end.expect("close", "a")["problem"] == "no-cockpit"
    assert not bridge.log.matches("host-python")


def test_the_stream_is_what_an_isolated_python_runs(tmp_path: Path) -> None:
    """Whatever its directory and environment; all that it loads is in memory."""
    packed = tmp_path / "packed"
    subprocess.run([sys.executable, "-I", "-m", "spanbridge.helpers.hosts.packing", str(packed)], check=True)
    first, _, rest = packed.read_bytes().partition(b"\n")
    packed.unlink()
    frames = b"".join(
        b"%d\n%b" % (len(payload), payload)
        for payload in (
            b'\n{"command":"init","version":1,"host":"far"}',
            b'\n{"command":"open","channel":"a","payload":"echo"}',
            b"a\nhello",
        )
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", first.decode()],
        input=rest + frames,
        capture_output=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=True,
    )
    assert b'"ready","channel":"a"' in ran.stdout
    assert b"a\nhello" in ran.stdout
    assert list(tmp_path.iterdir()) == []
