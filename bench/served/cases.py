"""What is measured of the payloads that a bridge serves itself, and what must be reached."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.cases import (
    Case,
    Effort,
    Figure,
    Target,
    at_least,
    at_most,
    cpu_per_gib,
    growth_mib,
    mib_per_second,
)
from bench.home import Home
from bench.peers import COCKPIT, PYTHON, Peer
from bench.run import Result, Run
from bench.served import bus, metrics, session
from bench.served.stage import BIG, FEW, NEW, SMALL, SMALL_BYTES, WATCHED

MIB = 1 << 20
LINES = 300_000

NOTHING = Home(helpers=False)


def load(
    mode: str,
    members: dict[str, Any],
    server: Sequence[str] = (),
    *,
    warm: dict[str, Any] | None = None,
    one_cpu: bool = False,
    **options: Any,
) -> Run:
    """A run of load.c that opens channels of these members, after one of `warm`."""
    opened = {"open": _bare(members), **({"warm": _bare(warm)} if warm else {})}
    return Run(mode, {**opened, **options}, NOTHING, one_cpu, "served-load", tuple(server))


def _bare(members: dict[str, Any]) -> str:
    return json.dumps(members)[1:-1]


def served_cases(effort: Effort, stage: Path, big_bytes: int) -> list[Case]:
    """The table of cases, with files in `stage`."""
    return [
        *_volumes(effort, stage, big_bytes),
        *_latencies(effort, stage),
        *_directories(stage),
        *_http(effort, big_bytes),
        *_bus(effort),
        *_sessions(effort, stage),
    ]


def _volume(
    name: str,
    title: str,
    run: Run,
    faster: float,
    cpu: float | None = None,
    growth: float | None = None,
    without: tuple[str, ...] = (),
) -> Case:
    """Speed; for what the kernel can move, also CPU time and what the bridge grows by."""
    figures = [Figure(title, "MiB/s", mib_per_second, (at_least(faster, COCKPIT),))]
    if cpu is not None:
        figures.append(Figure(f"{title}: CPU", "s/GiB", cpu_per_gib, (at_most(cpu, COCKPIT),)))
    if growth is not None:
        figures.append(Figure(f"{title}: growth", "MiB", growth_mib, (at_most(growth),)))
    return Case(name, title, (run,), tuple(figures), relay=False, slow=True, without=without)


def _volumes(effort: Effort, stage: Path, size: int) -> list[Case]:
    big = str(stage / BIG)
    told = f"{size // MIB} MiB"
    raw, window = {"binary": "raw"}, {"flow-control": True}
    read: dict[str, Any] = {"payload": "fsread1", "path": big, "max_read_size": 1 << 30}
    output: dict[str, Any] = {"payload": "stream", "spawn": ["cat", big]}
    socket: dict[str, Any] = {"payload": "stream", "unix": "SERVER"}
    sink = {"payload": "stream", "spawn": ["sh", "-c", "exec cat >/dev/null"], **raw}
    replace = {"payload": "fsreplace1", "path": str(stage / NEW), **raw}
    source = ("source", str(size))
    read_small = {"payload": "fsread1", "path": str(stage / SMALL)}
    run_true = {"payload": "stream", "spawn": ["true"]}
    no_socket = {"payload": "stream", "unix": str(stage / "none")}

    def reading(**more: Any) -> Run:
        return load("take", read | more, warm=read_small, bytes=size, done=0)

    def running(**more: Any) -> Run:
        return load("take", output | more, warm=run_true, bytes=size)

    def connecting(**more: Any) -> Run:
        return load("take", socket | more, source, warm=no_socket, bytes=size, done=0)

    giving = load("give", sink, warm=run_true, bytes=size)
    replacing = load("give", replace, warm=replace | {"path": str(stage / "other")}, bytes=size)
    # The bridge in Python keeps a whole file that it reads, and works on it again with each message: minutes.
    alone = (PYTHON,)
    return [
        _volume("read", f"fsread1 of {told}, binary", reading(**raw), 3.5, 0.3, 8, without=alone),
        _volume("output", f"output of a program, {told}, binary", running(**raw), 3, 0.25, 8),
        _volume("socket", f"from a unix socket, {told}, binary", connecting(**raw), 3, 0.3, 8),
        _volume("read-text", f"fsread1 of {told}, text", reading(), 1.5, without=alone),
        _volume("output-text", f"output of a program, {told}, text", running(), 1.5),
        _volume("socket-text", f"from a unix socket, {told}, text", connecting(), 1.5),
        _flow("read-window", f"fsread1 of {told}, binary, with flow-control", reading(**raw, **window)),
        _flow("output-window", f"output of a program, {told}, binary, with flow-control", running(**raw, **window)),
        _volume("input", f"input of a program, {told} in frames of 64 KiB", giving, 2.5, 0.4, 8),
        _volume("replace", f"fsreplace1 of {told}", replacing, 1.4, growth=20),
    ]


def _flow(name: str, title: str, run: Run) -> Case:
    figures = (
        Figure(title, "MiB/s", mib_per_second),
        Figure(f"{title}: CPU", "s/GiB", cpu_per_gib),
        Figure(f"{title}: growth", "MiB", growth_mib),
    )
    return Case(name, title, (run,), figures, relay=False, slow=True)


def _p50(results: Sequence[Result]) -> float:
    return results[0]["p50_ns"] / 1e3


def _latency(name: str, title: str, run: Run, *targets: Target, without: tuple[str, ...] = ()) -> Case:
    return Case(name, title, (run,), (Figure(f"{title}, p50", "us", _p50, targets),), relay=False, without=without)


def _latencies(effort: Effort, stage: Path) -> list[Case]:
    count = effort.count // 10
    small = {"payload": "fsread1", "path": str(stage / SMALL)}
    terminal = {"payload": "stream", "spawn": ["seq", str(LINES)], "pty": True, "environ": ["TERM=xterm"]}
    return [
        _latency(
            "true",
            "`true` started and closed, one after another",
            load("each", {"payload": "stream", "spawn": ["true"]}, count=count, one_cpu=True),
            at_most(1, COCKPIT),
        ),
        _latency(
            "read-small",
            f"fsread1 of {SMALL_BYTES} bytes",
            load("each", small, count=count, bytes=SMALL_BYTES, done=0, one_cpu=True),
            at_most(1, COCKPIT),
        ),
        _latency(
            "cat",
            "64 B through cat and back",
            load(
                "trip",
                {"payload": "stream", "spawn": ["cat"]},
                count=effort.count,
                size=64,
                answer="bytes",
                one_cpu=True,
            ),
            at_most(1, COCKPIT),
        ),
        Case(
            "terminal",
            "lines through a terminal",
            (load("take", terminal, warm=terminal | {"spawn": ["true"]}, done=0),),
            (
                Figure(
                    f"{LINES:,} lines through a terminal",
                    "lines/s",
                    lambda results: LINES * 1e9 / results[0]["wall_ns"],
                    (at_least(1, COCKPIT),),
                ),
            ),
            relay=False,
        ),
    ]


def _milliseconds(member: str) -> Any:
    return lambda results: results[0][member] / 1e6


def _directories(stage: Path) -> list[Case]:
    def entries(directory: str) -> dict[str, Any]:
        attrs = ["type", "mode", "size", "mtime", "user", "group", "entries"]
        return {"payload": "fsinfo", "path": str(stage / directory), "attrs": attrs, "fnmatch": "*"}

    def listed(directory: str) -> dict[str, Any]:
        return {"payload": "fslist1", "path": str(stage / directory), "watch": False}

    return [
        Case(
            "list",
            "fslist1",
            (load("take", listed("10000"), warm=listed(FEW), done=0),),
            (Figure("fslist1 of 10,000 entries", "ms", _milliseconds("wall_ns"), (at_most(0.5, COCKPIT),)),),
            relay=False,
        ),
        Case(
            "info-10000",
            "fsinfo of 10,000",
            (load("take", entries("10000"), warm=entries(FEW), done=0),),
            (Figure("fsinfo of 10,000 entries", "ms", _milliseconds("wall_ns"), (at_most(0.5, PYTHON),)),),
            relay=False,
            without=(COCKPIT,),
        ),
        Case(
            "info-100000",
            "fsinfo of 100,000",
            (load("beside", entries("100000"), warm=entries(FEW), done=0),),
            (
                Figure("fsinfo of 100,000 entries", "ms", _milliseconds("wall_ns"), (at_most(0.5, PYTHON),)),
                Figure("an echo beside it, p99", "ms", _milliseconds("p99_ns"), (at_most(20),)),
                Figure("an echo beside it, longest", "ms", _milliseconds("max_ns"), (at_most(20),)),
            ),
            relay=False,
            slow=True,
            without=(COCKPIT,),
        ),
    ]


def _kib_each(results: Sequence[Result]) -> float:
    return (results[0]["rss_kib"] - results[0]["rss_before_kib"]) / results[0]["channels"]


def _http(effort: Effort, size: int) -> list[Case]:
    def request(path: str, **members: Any) -> dict[str, Any]:
        return {"payload": "http-stream2", "unix": "SERVER", "method": "GET", "path": path, **members}

    # On unix sockets the C bridge has no WebSocket, though it opens one; the one in Python has none at all.
    socket = {"payload": "websocket-stream1", "port": "SERVER-PORT", "address": "127.0.0.1", "path": "/"}
    websocket = ("websocket",)
    title = f"HTTP body of {size // MIB} MiB with a length, binary"
    frames = 8

    def echoed(results: Sequence[Result]) -> float:
        return results[0]["count"] * frames * 65536 / MIB / (results[0]["wall_ns"] / 1e9)

    return [
        Case(
            "get",
            "small GETs",
            (load("each", request("/bytes/100"), ("http",), count=effort.count // 2, bytes=100, one_cpu=True),),
            (
                Figure(
                    "small GETs on a unix socket, one after another",
                    "requests/s",
                    lambda results: results[0]["count"] * 1e9 / results[0]["wall_ns"],
                    (at_least(1, COCKPIT),),
                ),
                Figure(
                    "small GETs: CPU of each",
                    "us",
                    lambda results: results[0]["cpu_ns"] / 1e3 / results[0]["count"],
                    (at_most(1, COCKPIT),),
                ),
            ),
            relay=False,
        ),
        _volume(
            "body",
            title,
            load("take", request(f"/bytes/{size}", binary="raw"), ("http",), warm=request("/bytes/1"), bytes=size),
            8,
            0.15,
            8,
        ),
        Case(
            "requests",
            "requests open at once",
            (load("hold", request("/wait"), ("http",), channels=1000, answer="messages"),),
            (
                Figure("1000 requests open at once: memory of each", "KiB", _kib_each, (at_most(1, COCKPIT),)),
                Figure(
                    "1000 requests: all have their first byte", "ms", _milliseconds("wall_ns"), (at_most(1, COCKPIT),)
                ),
            ),
            relay=False,
            without=(PYTHON,),  # some 700 of them are answered, and no more
        ),
        _latency(
            "websocket",
            "WebSocket echo of 64 B",
            load("trip", socket, websocket, count=effort.count, size=64, answer="bytes", one_cpu=True),
            at_most(1, COCKPIT),
            without=(PYTHON,),
        ),
        Case(
            "websocket-64k",
            "WebSocket echo of 64 KiB",
            (load("trip", socket, websocket, count=effort.count // 10, depth=frames, size=65536, answer="bytes"),),
            (Figure("WebSocket echo of 64 KiB, 8 under way", "MiB/s", echoed, (at_least(2, COCKPIT),)),),
            relay=False,
            without=(PYTHON,),
        ),
    ]


def _bus(effort: Effort) -> list[Case]:
    def calls(depth: int, count: int) -> Run:
        return Run("calls", {"depth": depth, "count": count}, call=partial(bus.measure_calls, depth=depth, count=count))

    return [
        _latency("bus-call", "D-Bus call, one after another", calls(1, effort.count), at_most(1, COCKPIT)),
        _latency("bus-calls", "D-Bus calls, 100 at a time", calls(100, effort.count // 30), at_most(1, COCKPIT)),
        Case(
            "bus-objects",
            "objects under one watch",
            (Run("objects", {"objects": bus.OBJECTS}, call=bus.measure_objects),),
            (
                Figure(f"{bus.OBJECTS:,} objects under one watch", "ms", lambda r: r[0]["ms"], (at_most(1, COCKPIT),)),
                Figure("their memory", "MiB", lambda r: r[0]["grown_mib"], (at_most(0.5, COCKPIT),)),
                Figure("longest wait of an echo beside it", "ms", lambda r: r[0]["longest_ms"], (at_most(100),)),
            ),
            relay=False,
            slow=True,
        ),
    ]


def _sessions(effort: Effort, stage: Path) -> list[Case]:
    def watches(peer: Peer) -> Result:
        return session.measure_watches(peer, stage / "10000", WATCHED)

    terminals = {"payload": "stream", "spawn": ["cat"], "pty": True, "environ": ["TERM=xterm"]}
    seconds = 3.0 if effort.ms < 500 else metrics.SECONDS
    return [
        Case(
            "metrics",
            "metrics of the pages",
            (Run("metrics", call=lambda peer: metrics.measure(peer.command, peer.environ, seconds)),),
            (
                Figure(
                    "the overview's and the metrics page's metrics, five times each: CPU for each second",
                    "ms",
                    lambda results: results[0]["cpu_ms"],
                    (at_most(1, COCKPIT),),
                ),
            ),
            relay=False,
            slow=True,
        ),
        Case(
            "processes",
            "disk.cgroup of many processes",
            (Run("processes", call=lambda peer: metrics.measure_stall(peer.command, peer.environ)),),
            (
                Figure(
                    "longest wait of an echo beside disk.cgroup of 1000 processes",
                    "ms",
                    lambda results: results[0]["longest_ms"],
                    (at_most(20),),
                ),
            ),
            relay=False,
            slow=True,
            without=(COCKPIT,),
        ),
        Case(
            "terminals",
            "idle terminals",
            (load("hold", terminals, channels=200),),
            (Figure("200 idle terminals: memory of each", "KiB", _kib_each, (at_most(1, PYTHON),)),),
            relay=False,
        ),
        Case(
            "watches",
            "watches",
            (Run("watches", {"watches": WATCHED}, call=watches),),
            (Figure("1000 watches: memory of each", "KiB", lambda r: r[0]["kib_each"], (at_most(1, PYTHON),)),),
            relay=False,
        ),
        Case(
            "all",
            "a session that has used all",
            (Run("all", call=lambda peer: session.measure_all(peer, stage)),),
            (
                Figure(
                    "a session that has used terminal, files, HTTP, D-Bus, metrics: memory",
                    "MiB",
                    lambda results: results[0]["rss_mib"],
                    (at_most(34),),
                ),
            ),
            relay=False,
        ),
    ]
