"""``python -m bench.hosts``: time, memory and throughput of connections to a real sshd in namespaces of its own.

Needs uid 0 and what tests/hosts needs. Prints a table; `--out FILE` writes it.
"""

import argparse
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from bench.hosts.front import Front
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.home import Home
from tests.hosts.farm import Farm, farm
from tests.hosts.personas import BACKPORTS, C_BRIDGE, personas, tools

MIB: Final = 1 << 20
FILE_MIB: Final = 128
MANY: Final = 60
FAR: Final = "cbridge"  # all run the same bridge over there
BY_HAND: Final = "ssh by hand"


class Peer(NamedTuple):
    """A bridge on this side."""

    name: str
    command: list[str]
    environ: dict[str, str]


class Row(NamedTuple):
    """Seconds to ready of a session's first connection and of a later one, MiB a connection, the same as PSS, MiB/s of
    a far file; None where it could not be measured."""

    name: str
    first: float | None
    seconds: float | None
    memory: float | None
    pss: float | None
    speed: float | None


def main() -> int:
    """0: measured, 2: it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m bench.hosts", description=__doc__)
    parser.add_argument("--connections", type=int, default=10, help="in each round, for each bridge (default 10)")
    parser.add_argument("--rounds", type=int, default=5, help="in each all take their turn (default 5)")
    parser.add_argument("--out", type=Path, help="also write the table there")
    given = parser.parse_args()
    with farm(partial(personas, SPANBRIDGE), tools) as other:
        other.trust()
        other.use_key()
        (other.directory / "large").write_bytes(b"\0" * (FILE_MIB * MIB))
        rounds: dict[str, list[Row]] = {}
        for _ in range(given.rounds):
            for row in a_round(other, given.connections):
                rounds.setdefault(row.name, []).append(row)
        lines = [*table([medians(rows) for rows in rounds.values()]), "", *crowd(other)]
    print("\n".join(lines))
    if given.out:
        given.out.write_text("\n".join(lines) + "\n")
    return 0


def a_round(other: Farm, count: int) -> Iterator[Row]:
    """One row for ssh by hand, and one for each bridge."""
    yield by_hand(other, count)
    for peer in peers(other):
        yield measured(other, peer, count)


def medians(rows: list[Row]) -> Row:
    """Of all rounds, column by column."""

    def median(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    return Row(rows[0].name, *(median(column) for column in list(zip(*rows, strict=True))[1:]))


def peers(other: Farm) -> Iterator[Peer]:
    """Those that are installed here."""
    yield Peer("spanbridge", [str(SPANBRIDGE)], {})
    data = {"XDG_DATA_DIRS": "/usr/share"}
    if C_BRIDGE.exists():
        yield Peer("cockpit-bridge (C)", [str(C_BRIDGE)], data)
    if BACKPORTS.exists():
        newer = {**data, "PYTHONPATH": f"{BACKPORTS}/usr/lib/python3/dist-packages"}
        yield Peer("cockpit-bridge (Python)", ["/usr/bin/python3", "-m", "cockpit.bridge"], newer)


def host(number: int) -> str:
    return f"{FAR}@127.1.1.{number + 1}"


def by_hand(other: Farm, count: int) -> Row:
    def run(*command: str) -> float:
        began = time.perf_counter()
        subprocess.run([*other.command, *command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    seconds = statistics.median(run("ssh", host(number), "true") for number in range(count))
    nothing = statistics.median(run("true") for _ in range(count))
    speed = FILE_MIB / run("ssh", host(0), "cat", str(other.directory / "large"))
    return Row(BY_HAND, None, seconds - nothing, None, None, speed)


def measured(other: Farm, peer: Peer, count: int) -> Row:
    """One bridge, as far as it can do it."""
    try:
        with started(other, peer) as front:
            front.ready("local", payload="echo")  # it has started: its own loading is over
            first = front.ready("first", payload="echo", host=host(count))  # what is loaded once is loaded here
            before, pss_before = front.memory(), front.pss()
            seconds = statistics.median(
                front.ready(f"c{number}", payload="echo", host=host(number)) for number in range(count)
            )
            memory = (front.memory() - before) / count / MIB
            pss = (front.pss() - pss_before) / count / MIB
            cat = ["cat", str(other.directory / "large")]
            front.control("open", channel="f", payload="stream", host=host(0), spawn=cat, binary="raw")
            speed = FILE_MIB / front.drain(FILE_MIB * MIB)
            return Row(peer.name, first, seconds, memory, pss, speed)
    except RuntimeError as error:
        print(f"bench: {peer.name}: {error}", file=sys.stderr)
        return Row(peer.name, None, None, None, None, None)


def started(other: Farm, peer: Peer) -> Front:
    home = Home(other.new_front())
    other.give(home.root)
    return Front([*other.command, *peer.command], {**home.environ, **peer.environ}, uuid.uuid4().hex)


def crowd(other: Farm) -> list[str]:
    """What many that come up at once do to a local channel, and what an idle one costs in the bridge itself."""
    with started(other, Peer("spanbridge", [str(SPANBRIDGE)], {})) as front:
        front.ready("local", payload="echo")
        quiet = sorted(front.echo("local") for _ in range(500))
        for number in range(MANY):
            front.control("open", channel=f"m{number}", payload="echo", host=f"alice@127.1.2.{number + 1}")
        busy: list[float] = []
        until = time.perf_counter() + 8
        while time.perf_counter() < until:
            busy.append(front.echo("local"))
            time.sleep(0.002)
    told = {"a local echo alone": quiet, f"while {MANY} hosts come up": sorted(busy)}
    return [f"{name}: p50 {ms(times, 0.5)}, p99 {ms(times, 0.99)}, most {ms(times, 1)}" for name, times in told.items()]


def ms(times: list[float], part: float) -> str:
    return f"{times[min(len(times) - 1, int(part * len(times)))] * 1000:.1f} ms"


def table(rows: list[Row]) -> list[str]:
    lines = [
        "| | first open to ready | a later one | memory of a connection | its PSS | far file |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        first = "" if row.first is None else f"{row.first * 1000:.0f} ms"
        seconds = "" if row.seconds is None else f"{row.seconds * 1000:.0f} ms"
        memory = "" if row.memory is None else f"{row.memory:.2f} MiB"
        pss = "" if row.pss is None else f"{row.pss:.2f} MiB"
        speed = "" if row.speed is None else f"{row.speed:.0f} MiB/s"
        lines.append(f"| {row.name} | {first} | {seconds} | {memory} | {pss} | {speed} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
