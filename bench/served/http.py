"""HTTP and WebSocket to a server on the same machine: small requests, a large body, many at once, an echo."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.served.front import MIB, Front, front_of

ROOT = Path(__file__).resolve().parents[2]
READ_BYTES = MIB
WARM_UP = 100
WINDOW = 16
"""Large messages of a WebSocket under way."""


@contextmanager
def server(*, unix: bool) -> Iterator[dict[str, Any]]:
    """A server; the options of an open that goes to it. The WebSocket client of the C bridge wants a TCP port."""
    with TemporaryDirectory(prefix="bench-") as directory:
        path = os.path.join(directory, "server")
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as listening:
            listening.bind(path if unix else ("127.0.0.1", 0))
            listening.listen(4096)
            fd = listening.fileno()
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.served.http_server", str(fd)], pass_fds=[fd], cwd=ROOT
            )
            try:
                where = {"unix": path} if unix else {"port": listening.getsockname()[1], "address": "127.0.0.1"}
                yield {"payload": "http-stream2", "method": "GET", "binary": "raw", **where}
            finally:
                process.kill()
                process.wait()


def small(
    bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, count: int = 3000
) -> dict[str, float]:
    """Requests on a unix socket, one after another. `per_second`; `cpu_us`: of the bridge, each."""
    with server(unix=True) as where, front_of(bridge_command, environ) as front:
        for number in range(WARM_UP):
            _get(front, f"warm-{number}", {**where, "path": "/small"})
        before, began = front.cpu_seconds(), time.perf_counter()
        for number in range(count):
            _get(front, f"small-{number}", {**where, "path": "/small"})
        wall, used = time.perf_counter() - began, front.cpu_seconds() - before
    return {"per_second": count / wall, "cpu_us": used / count * 1e6}


def large(bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, mib: int = 512) -> dict[str, float]:
    """A body with a length, from a unix socket. `mib_per_second`; `cpu_per_gib`: seconds; `growth_mib`."""
    with server(unix=True) as where, front_of(bridge_command, environ) as front:
        _get(front, "warm", {**where, "path": f"/large?{MIB}"})
        resident = front.reset_peak()
        before, began = front.cpu_seconds(), time.perf_counter()
        front.open("large", {**where, "path": f"/large?{mib * MIB}"})
        front.control("done", channel="large")
        _swallow(front, mib * MIB)
        wall, used = time.perf_counter() - began, front.cpu_seconds() - before
        growth = front.peak_mib() - resident
    return {"mib_per_second": mib / wall, "cpu_per_gib": used * 1024 / mib, "growth_mib": growth}


def many(
    bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, count: int = 1000
) -> dict[str, float]:
    """Requests open at once. `kib`: memory each; `first_ms`: from the answers of all to the first byte, the median."""
    with server(unix=True) as where, front_of(bridge_command, environ) as front:
        _get(front, "warm", {**where, "path": "/small"})
        before = front.private_mib()
        for number in range(count - 1):
            front.open(f"many-{number}", {**where, "path": f"/wait?{count}"})
            front.control("done", channel=f"many-{number}")
            front.expect("ready", f"many-{number}")
        grown = front.private_mib() - before
        began = time.perf_counter()
        front.open("last", {**where, "path": f"/wait?{count}"})
        front.control("done", channel="last")
        arrived: list[float] = []
        while len(arrived) < count:
            channel, _ = front.frame()
            if channel:
                arrived.append(time.perf_counter() - began)
    return {"kib": grown * 1024 / count, "first_ms": median(arrived) * 1e3}


def websocket(
    bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, count: int = 3000
) -> dict[str, float]:
    """An echo over TCP. `p50_us`: of 64 bytes; `mib_per_second`, `cpu_per_gib`: of 64 KiB; there and back."""
    with server(unix=False) as where, front_of(bridge_command, environ) as front:
        front.open("talk", {**where, "payload": "websocket-stream1", "path": "/talk"})
        front.expect("ready", "talk")
        times = []
        for _ in range(WARM_UP + count):
            began = time.perf_counter()
            front.send("talk", bytes(64))
            _message(front)
            times.append(time.perf_counter() - began)
        sent, large_count = 0, max(count // 2, WINDOW)
        before, began = front.cpu_seconds(), time.perf_counter()
        for received in range(large_count):
            while sent < min(received + WINDOW, large_count):
                front.send("talk", bytes(65_536))
                sent += 1
            _message(front)
        wall, used = time.perf_counter() - began, front.cpu_seconds() - before
    mib = large_count / 16
    return {
        "p50_us": median(times[WARM_UP:]) * 1e6,
        "mib_per_second": mib / wall,
        "cpu_per_gib": used * 1024 / mib,
    }


def _get(front: Front, channel: str, options: Mapping[str, Any]) -> None:
    front.open(channel, options)
    front.control("done", channel=channel)
    front.expect("close", channel)


def _message(front: Front) -> None:
    while not front.frame()[0]:
        pass


def _swallow(front: Front, nbytes: int) -> None:
    """Read to the end of the body; the frames are not looked at: a front end in Python would be measured else."""
    stdout = front.bridge.stdout
    assert stdout is not None
    fd, got, buffer = stdout.fileno(), 0, bytearray(READ_BYTES)
    end = json.dumps("close").encode()
    while True:
        if not select.select([fd], [], [], 60)[0]:
            raise front.failed(f"of {nbytes} bytes {got} came")
        count = os.readv(fd, [buffer])
        got += count
        if not count or (got > nbytes and end in bytes(buffer[max(count - 300, 0) : count])):
            break
    if got < nbytes:
        raise front.failed(f"of {nbytes} bytes {got} came")
