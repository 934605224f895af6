"""The bridge on descriptors that are no pipes: epoll refuses some of them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import Decoder, encode_control
from spanbridge.testing.home import Home

GREETING = encode_control({"command": "init", "version": 1, "host": "localhost"})
OPEN = encode_control({"command": "open", "channel": "e", "payload": "echo"})
DATA = b"7\ne\nhello"


def run(home: Home, stdin: int, stdout: int | None = None) -> tuple[int, bytes, str]:
    """The exit status of a bridge on these, what it wrote to a pipe if stdout is none, and its log."""
    ended = subprocess.run(
        [SPANBRIDGE],
        stdin=stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        env=home.environ,
        timeout=SECONDS,
        check=False,
    )
    os.close(stdin)
    return ended.returncode, ended.stdout or b"", ended.stderr.decode()


def commands(written: bytes) -> list[str]:
    frames = Decoder().feed(written)
    return ["data" if frame.channel else json.loads(frame.payload)["command"] for frame in frames]


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_stdin_is_a_file(home: Home, tmp_path: Path, size: int) -> None:
    (tmp_path / "input").write_bytes(GREETING + OPEN + DATA * size)
    status, written, log = run(home, os.open(tmp_path / "input", os.O_RDONLY))
    assert (status, commands(written)) == (0, ["init", "ready", *["data"] * size]), log
    assert "Traceback" not in log


def test_stdin_is_dev_null(home: Home) -> None:
    status, written, log = run(home, os.open(os.devnull, os.O_RDONLY))
    assert (status, commands(written)) == (0, ["init"]), log
    assert "Traceback" not in log


def test_stdin_is_dev_zero(home: Home) -> None:
    status, written, log = run(home, os.open("/dev/zero", os.O_RDONLY))
    assert (status, commands(written)) == (1, ["init", "init"]), log
    assert "frame at byte 0" in log
    assert "Traceback" not in log


def test_stdout_is_a_file(home: Home, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(GREETING + OPEN + DATA * 100_000)
    out = os.open(tmp_path / "output", os.O_WRONLY | os.O_CREAT)
    status, _, log = run(home, os.open(tmp_path / "input", os.O_RDONLY), out)
    os.close(out)
    assert status == 0, log
    assert commands((tmp_path / "output").read_bytes()) == ["init", "ready", *["data"] * 100_000]
    assert "Traceback" not in log


def test_stdout_is_full(home: Home, tmp_path: Path) -> None:
    """The front end is as good as gone."""
    (tmp_path / "input").write_bytes(GREETING + OPEN + DATA)
    out = os.open("/dev/full", os.O_WRONLY)
    status, _, log = run(home, os.open(tmp_path / "input", os.O_RDONLY), out)
    os.close(out)
    assert status == 0, log
    assert "No space left on device" in log
    assert "Traceback" not in log
