"""Running `spanbridge open`, `tap` and `replay`."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spanbridge.testing import script
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.home import Home

CHANNEL = "1"
INIT = {"command": "init", "version": 1, "host": "localhost"}
OPEN = {"command": "open", "channel": CHANNEL, "payload": "echo"}
DONE = {"command": "done", "channel": CHANNEL}
ECHO = [script.init(), script.serve({"done": [script.send("close", channel="$channel")]})]
"""A helper that sends back all, and closes at the end."""


def conversation(*payloads: bytes) -> bytes:
    """What a front end says that sends these on an `echo` channel."""
    frames = [encode_control(INIT), encode_control(OPEN), *(encode(CHANNEL, payload) for payload in payloads)]
    return b"".join([*frames, encode_control(DONE)])


def helper(steps: script.Steps) -> str:
    """A fake helper as words of a shell."""
    return shlex.join(script.command(steps))


def run(
    home: Home, *arguments: str | Path, stdin: bytes = b"", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `spanbridge` without a terminal; whatever comes of it, it is no traceback."""
    done = subprocess.run(
        [SPANBRIDGE, *arguments],
        input=stdin,
        env={**home.environ, "PATH": f"{SPANBRIDGE.parent}:{home.environ['PATH']}", **(environ or {})},
        cwd=home.root,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def record(home: Home, *command: str, stdin: bytes, options: Sequence[str] = ("--payload", "all")) -> Path:
    """The recording of a command that is given `stdin`."""
    file = home.root / "recording.jsonl"
    run(home, "tap", "--output", str(file), *options, "--", *command, stdin=stdin)
    return file


def records(file: Path) -> list[dict[str, Any]]:
    """The lines of a recording, without the first."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0]["recording"] == 1
    return lines[1:]
