"""CPU time for what the overview and the metrics page of Cockpit sample, each second."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.run import RunError
from bench.served.front import Front, front_of

PAGES = 5
"""Of each of the two: ten channels."""
SECONDS = 10.0

_RATES = ("cpu.basic.nice", "cpu.basic.user", "cpu.basic.system")

OVERVIEW: list[dict[str, Any]] = [
    *({"name": name, "derive": "rate"} for name in _RATES),
    {"name": "memory.used"},
]

METRICS_PAGE: list[dict[str, Any]] = [
    *({"name": name, "derive": "rate"} for name in _RATES),
    *({"name": f"cpu.core.{each}", "derive": "rate"} for each in ("nice", "user", "system")),
    {"name": "memory.used"},
    {"name": "memory.swap-used"},
    {"name": "disk.all.read", "derive": "rate"},
    {"name": "disk.all.written", "derive": "rate"},
    {"name": "disk.dev.read", "derive": "rate"},
    {"name": "disk.dev.written", "derive": "rate"},
    {"name": "network.interface.rx", "derive": "rate"},
    {"name": "network.interface.tx", "derive": "rate"},
    {"name": "cgroup.cpu.usage", "derive": "rate"},
    {"name": "cgroup.memory.usage"},
]


def measure(
    bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> dict[str, float]:
    """`cpu_ms`: milliseconds of CPU time for each second; `messages`: data frames for each second."""
    with front_of(bridge_command, environ) as front:
        for page in range(PAGES):
            _open(front, f"overview-{page}", OVERVIEW)
            _open(front, f"metrics-{page}", METRICS_PAGE)
        front.read_for(2.0)
        before = front.cpu_seconds()
        messages = front.read_for(seconds)
        used = front.cpu_seconds() - before
    if messages < 2 * PAGES * (seconds - 1):
        raise RunError(f"{bridge_command[0]}: {messages} samples of {2 * PAGES} channels in {seconds:g} s")
    return {"cpu_ms": 1000 * used / seconds, "messages": messages / seconds}


def _open(front: Front, channel: str, metrics: list[dict[str, Any]]) -> None:
    front.open(channel, {"payload": "metrics1", "source": "internal", "interval": 1000, "metrics": metrics})


def measure_stall(
    bridge_command: Sequence[str], environ: Mapping[str, str] | None = None, processes: int = 1000
) -> dict[str, float]:
    """`longest_ms`: the longest round trip of an echo beside `disk.cgroup` with so many processes more."""
    idle = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(processes)]
    try:
        with front_of(bridge_command, environ) as front:
            front.open("echo", {"payload": "echo"})
            front.expect("ready", "echo")
            _open(front, "groups", [{"name": "disk.cgroup.read", "derive": "rate"}, {"name": "disk.cgroup.written"}])
            front.read_for(0.5)
            longest, trips, deadline = 0.0, 0, time.monotonic() + 3.0
            while time.monotonic() < deadline:
                began = time.perf_counter()
                front.send("echo", b"x")
                while front.frame()[0] != "echo":
                    pass
                longest = max(longest, time.perf_counter() - began)
                trips += 1
            return {"longest_ms": 1000 * longest, "trips": trips}
    finally:
        for process in idle:
            process.kill()
        for process in idle:
            process.communicate()
