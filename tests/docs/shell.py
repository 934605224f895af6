"""Running what a document shows, as its reader would."""

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from spanbridge.testing.deadline import SECONDS, Deadline, Hang
from spanbridge.testing.gate import Gate

from .pages import Block


class Ran(NamedTuple):
    """What became of a block."""

    status: int
    out: bytes
    log: str


def run(block: Block, directory: Path, environ: Mapping[str, str], *, awaited: bytes = b"") -> Ran:
    """Run a block of shell commands in `directory`, up to the first that fails.

    A reader's `sleep` is long enough for an answer to come. Here it lasts until `awaited` has come out, however long.
    """
    tools = Path(tempfile.mkdtemp(dir=directory))
    gate = Gate(tools / "gate")
    (tools / "sleep").write_text(f"#!/bin/sh\nhead -c 1 '{gate.path}' >/dev/null\n")
    (tools / "sleep").chmod(0o755)
    log = tools / "stderr"
    try:
        with log.open("wb") as errors:
            process = subprocess.Popen(
                ["sh", "-euc", block.text],
                cwd=directory,
                env={**environ, "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        with process:
            out = _read(process, awaited, gate, block.name)
            return Ran(process.wait(SECONDS), out, log.read_text(errors="replace"))
    finally:
        gate.close()


def _read(process: subprocess.Popen[bytes], awaited: bytes, gate: Gate, name: str) -> bytes:
    assert process.stdout is not None
    deadline, out, released = Deadline(), b"", not awaited
    while select.select([process.stdout], [], [], deadline.left)[0]:
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            return out
        out += chunk
        if not released and awaited in out:
            released = True
            gate.release()
    process.kill()
    raise Hang(f"{name}: waited for its end; so far it has printed {out!r}")


def after_first_frame(data: bytes) -> bytes:
    """What follows the bridge's `init`, which is not the same everywhere."""
    length, end, rest = data.partition(b"\n")
    assert end, f"no frame: {data!r}"
    assert b'"command":"init"' in rest[: int(length)], data
    return rest[int(length) :]
