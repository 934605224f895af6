"""A file system that stops taking anything in the middle of a write."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanbridge.testing.home import Home

from ..missing import lack
from .surroundings import bridge_in, mounted

SCRIPT = 'truncate -s 16M "$1"; /usr/sbin/mkfs.ext4 -q "$1"; mount -o loop "$1" "$2"; echo old > "$2/file"'


@contextmanager
def frozen(pid: int, place: Path) -> Iterator[None]:
    """Nothing is written to the file system on `place`, as the process sees it, until this is left."""
    inside = ["nsenter", f"--target={pid}", "--mount", "--root", "/usr/sbin/fsfreeze"]
    subprocess.run([*inside, "--freeze", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "--unfreeze", str(place)], check=True)


@pytest.mark.parametrize("ending", ["close", "done"])
def test_it_holds_up_nobody_else(home: Home, tmp_path: Path, ending: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    command = mounted(SCRIPT, tmp_path / "image", place)
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        lack("needs mkfs.ext4 (e2fsprogs) and loop devices")
    with bridge_in(home, command) as (bridge, files):
        front_end = files.front_end
        channel = files.open("fsreplace1", place / "file", binary="raw", **{"send-acks": "bytes"})
        for _ in range(10):
            front_end.send(channel, b"x" * 65_536)
        for _ in range(10):
            front_end.expect("ack", channel)
        with frozen(bridge.pid, place):
            for _ in range(60):
                front_end.send(channel, b"y" * 65_536)
            front_end.sync()
            other = tmp_path / "other"
            assert files.replace(other, b"content").problem is None
            assert files.read(other).data == b"content"
            if ending == "close":
                front_end.close(channel)
                files.answer(channel)
            else:
                front_end.control("done", channel=channel)
            front_end.sync()
        if ending == "close":
            assert files.read(place / "file").data == b"old\n"
            return
        assert files.answer(channel).problem is None
        assert files.read(place / "file").data == b"x" * 655_360 + b"y" * 3_932_160
