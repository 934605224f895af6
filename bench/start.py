"""What a bridge costs before it does anything: start to `init`, idle memory, time spent on imports."""

import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.home import Home, make_home
from bench.peers import Peer
from bench.reaper import kill_children
from bench.run import Result, Run, RunError

INIT = b'{"command":"init","version":1,"host":"localhost"}'
START_SECONDS = 20.0
SETTLE_SECONDS = 0.3  # after which an idle bridge has done what it does by itself

_LAUNCHER = b"#!/bin/sh\n''':'"
_IMPORT_TIME = re.compile(rb"import time:\s+(\d+) \|")


def measure_start(peer: Peer, run: Run) -> Result:
    """Start to the whole `init`, `count` times, median; then the resident memory of one that idles.

    Raises:
        RunError: no `init` came, or the bridge did not end with its front end.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        environ = make_home(root / "home", run.home) | peer.environ
        try:
            starts = sorted(_start_once(peer, environ, root)[0] for _ in range(int(run.options["count"])))
            _, rss_kib = _start_once(peer, environ, root, settle=SETTLE_SECONDS)
            return {"p50_ns": starts[len(starts) // 2], "rss_kib": rss_kib}
        finally:
            kill_children()


def measure_imports(peer: Peer) -> Result:
    """Time the interpreter spends on imports between start and end of a session without channels.

    Empty if the peer is not run by Python.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        environ = make_home(root / "home", Home(helpers=False)) | peer.environ
        try:
            done = subprocess.run(
                _isolated(peer.command),
                input=_frame(INIT),
                capture_output=True,
                env=environ | {"PYTHONPROFILEIMPORTTIME": "1"},
                timeout=START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"{peer.name}: an empty session did not end in {START_SECONDS:.0f} s") from None
        finally:
            kill_children()
    microseconds = [int(match) for match in _IMPORT_TIME.findall(done.stderr)]
    if not microseconds:
        return {}
    return {"imports_us": sum(microseconds), "modules": len(microseconds)}


def _isolated(command: Sequence[str]) -> list[str]:
    """Our command starts Python isolated: it is told on its own command line to measure imports."""
    with open(command[0], "rb") as program:
        ours = program.read(len(_LAUNCHER)) == _LAUNCHER
    return [sys.executable, "-IS", "-X", "importtime", *command] if ours else [*command]


def _frame(payload: bytes) -> bytes:
    return b"%d\n\n%s" % (len(payload) + 1, payload)


def _start_once(peer: Peer, environ: dict[str, str], root: Path, settle: float = 0.0) -> tuple[int, int]:
    """Nanoseconds to `init`; resident memory (KiB) after `settle` seconds."""
    log_path = root / "bridge.log"
    with open(log_path, "wb") as log:
        before = time.perf_counter_ns()
        bridge = subprocess.Popen(peer.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environ)
    assert bridge.stdin is not None
    assert bridge.stdout is not None
    complete = _read_frame(bridge.stdout.fileno())
    took = time.perf_counter_ns() - before
    if not complete:
        bridge.kill()
        bridge.communicate()
        said = log_path.read_text(errors="replace").strip() or "(nothing)"
        raise RunError(f"{peer.name}: end of file or {START_SECONDS:.0f} s without an init; it said: {said}")
    bridge.stdin.write(_frame(INIT))
    bridge.stdin.flush()
    rss_kib = 0
    if settle:
        time.sleep(settle)
        rss_kib = _rss_kib(bridge.pid)
    try:
        bridge.communicate(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        bridge.kill()
        bridge.communicate()
        raise RunError(f"{peer.name}: did not end in {START_SECONDS:.0f} s after its front end") from None
    if bridge.returncode != 0:
        raise RunError(f"{peer.name}: an empty session ended with status {bridge.returncode}")
    return took, rss_kib


def _read_frame(fd: int) -> bool:
    """Read one frame; whether it came whole and in time."""
    received = b""
    while select.select([fd], [], [], START_SECONDS)[0] and (chunk := os.read(fd, 65536)):
        received += chunk
        length, newline, rest = received.partition(b"\n")
        if newline and len(rest) >= int(length):
            return True
    return False


def _rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
