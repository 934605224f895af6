"""What is measured, and what must be reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.home import Home
from bench.peers import COCKPIT, RELAY
from bench.run import Result, Run

MIB = 1 << 20
GIB = 1 << 30
ITSELF = ""  # the bound holds for the figure, not for its ratio to a peer's


@dataclass(frozen=True)
class Target:
    """A bound for a figure, or for its ratio to what the peer `against` reached in the same round."""

    bound: float
    at_least: bool
    against: str = ITSELF


@dataclass(frozen=True)
class Figure:
    """One number made of the results of a case's runs."""

    title: str
    unit: str
    value: Callable[[Sequence[Result]], float]
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Case:
    """Runs that belong together, and what is read from them.

    Attributes:
        relay: whether the relay can stand in for a bridge here.
        slow: takes seconds for each peer, so it has fewer rounds.
        without: names of peers that do not have what it needs.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    figures: tuple[Figure, ...]
    relay: bool = True
    slow: bool = False
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        ms, warmup_ms: of a stream of frames, milliseconds.
        count: round trips, or opens.
        starts: of a bridge in one round.
        drain_ms: how long a helper that was stopped may take for its backlog.
    """

    rounds: int
    slow_rounds: int
    curve_rounds: int
    ms: int
    warmup_ms: int
    curve_ms: int
    count: int
    starts: int
    drain_ms: int


FULL = Effort(7, 3, 3, 1000, 200, 400, 3000, 11, 10000)
QUICK = Effort(2, 1, 1, 100, 25, 60, 500, 3, 1000)


def at_least(bound: float, against: str = ITSELF) -> Target:
    """The figure, or its ratio to a peer's, must not be smaller."""
    return Target(bound, True, against)


def at_most(bound: float, against: str = ITSELF) -> Target:
    """The figure, or its ratio to a peer's, must not be larger."""
    return Target(bound, False, against)


def frames_per_second(results: Sequence[Result]) -> float:
    """Data frames there and back."""
    return results[0]["frames"] * 1e9 / results[0]["wall_ns"]


def mib_per_second(results: Sequence[Result]) -> float:
    """Bytes of data frames, headers included, that went there and back."""
    return results[0]["bytes"] * 1e9 / results[0]["wall_ns"] / MIB


def cpu_per_gib(results: Sequence[Result]) -> float:
    """Seconds of the bridge's CPU time for 2^30 bytes there and back."""
    return results[0]["cpu_ns"] / 1e9 / (results[0]["bytes"] / GIB)


def cpu_per_frame(results: Sequence[Result]) -> float:
    """Microseconds of the bridge's CPU time for one frame there and back."""
    return results[0]["cpu_ns"] / 1e3 / results[0]["frames"]


def microseconds(member: str) -> Callable[[Sequence[Result]], float]:
    """A figure given in nanoseconds."""
    return lambda results: results[0][member] / 1e3


def growth_mib(results: Sequence[Result]) -> float:
    """What the resident memory grew by at most."""
    return (results[0]["rss_peak_kib"] - results[0]["rss_before_kib"]) / 1024


def all_cases(effort: Effort) -> list[Case]:
    """The table of cases, with runs as long as `effort` says."""
    return [*_streams(effort), *_latencies(effort), *_starts(effort), *_memory(effort)]


def stream(effort: Effort, **options: int | str) -> Run:
    """A run that streams data frames."""
    return Run("stream", {"ms": effort.ms, "warmup-ms": effort.warmup_ms, **options})


def stream_to_helpers(effort: Effort, helpers: int) -> Run:
    """A run that streams 200 B frames, each to another helper than the one before."""
    return replace(stream(effort, size=200, channels=helpers, tags=helpers), home=Home(tagged=True))


def _streams(effort: Effort) -> list[Case]:
    def frames(title: str, *targets: Target) -> tuple[Figure, ...]:
        return (Figure(title, "frames/s", frames_per_second, targets),)

    def volume(title: str, *targets: Target) -> tuple[Figure, ...]:
        return (Figure(title, "MiB/s", mib_per_second, targets),)

    small = "64 B frames, one channel"
    large = "64 KiB frames, one channel"
    return [
        Case("echo-64", small, (stream(effort, size=64),), frames(small, at_least(25, COCKPIT))),
        Case(
            "channels-300",
            "200 B frames over 300 channels",
            (stream(effort, size=200, channels=300),),
            frames("200 B frames over 300 channels of one helper, one by one", at_least(10, COCKPIT)),
        ),
        Case(
            "helpers-20",
            "200 B frames over 20 helpers",
            (stream_to_helpers(effort, 20),),
            frames("200 B frames over 20 helpers, one by one", at_least(6, COCKPIT)),
            relay=False,
        ),
        Case(
            "mixed",
            "8 to 120 B frames",
            (stream(effort, size=120, mixed=1),),
            frames("8 to 120 B frames in no order (64 B on average), one channel", at_least(10, COCKPIT)),
        ),
        Case(
            "mixed-300",
            "8 to 392 B frames over 300 channels",
            (stream(effort, size=392, mixed=1, channels=300),),
            frames("8 to 392 B frames in no order (200 B on average) over 300 channels", at_least(10, COCKPIT)),
        ),
        Case(
            "echo-64k",
            large,
            (stream(effort, size=65536),),
            (
                *volume(large, at_least(1.3, COCKPIT), at_least(0.8, RELAY)),
                Figure(f"{large}: CPU", "s/GiB", cpu_per_gib, (at_most(0.75, COCKPIT),)),
            ),
        ),
        Case(
            "echo-64k-window",
            f"{large}, at most 2 MiB ahead of the echo",
            (stream(effort, size=65536, window=2 * MIB),),
            volume(f"{large}, at most 2 MiB ahead of the echo"),
        ),
        Case(
            "echo-8m",
            "8 MiB frames",
            (stream(effort, size=8 * MIB),),
            volume("8 MiB frames, one channel", at_least(1.2, COCKPIT)),
        ),
        Case(
            "internal-64",
            "internal echo, 64 B",
            (stream(effort, size=64, payload="echo"),),
            frames("internal echo, 64 B frames", at_least(4, COCKPIT)),
            relay=False,
        ),
        Case(
            "internal-64k",
            "internal echo, 64 KiB",
            (stream(effort, size=65536, payload="echo"),),
            volume("internal echo, 64 KiB frames", at_least(1, COCKPIT)),
            relay=False,
        ),
    ]


def _latencies(effort: Effort) -> list[Case]:
    def opens(channels: int = 1, rules: int = 1) -> Run:
        return Run("open", {"count": effort.count, "channels": channels}, Home(rules), one_cpu=True)

    def p50_ratio(results: Sequence[Result]) -> float:
        return results[1]["p50_ns"] / results[0]["p50_ns"]

    trip = Run("trip", {"count": effort.count, "size": 64}, one_cpu=True)
    spread = Run("trip", {"count": effort.count, "size": 64})
    return [
        Case(
            "trip",
            "round trip",
            (trip,),
            (
                Figure("round trip of one 64 B frame, p50", "us", microseconds("p50_ns"), (at_most(1, COCKPIT),)),
                Figure("round trip of one 64 B frame, p99", "us", microseconds("p99_ns"), (at_most(1, COCKPIT),)),
            ),
        ),
        Case(
            "trip-spread",
            "round trip, any CPU",
            (spread,),
            (Figure("round trip of one 64 B frame, on any CPU, p50", "us", microseconds("p50_ns")),),
        ),
        Case(
            "open",
            "open to ready",
            (opens(),),
            (Figure("open to ready on a running helper, p50", "us", microseconds("p50_ns"), (at_most(1, COCKPIT),)),),
        ),
        Case(
            "burst-10000",
            "10,000 opens at once",
            (Run("burst", {"channels": 10000, "batch": 0}),),
            (
                Figure(
                    "10,000 opens sent at once",
                    "opens/s",
                    lambda results: results[0]["opens"] * 1e9 / results[0]["wall_ns"],
                    (at_least(3, COCKPIT),),
                ),
            ),
        ),
        Case(
            "open-rules",
            "open among 10,000 rules",
            (opens(), opens(rules=10000)),
            (Figure("open p50 with 10,000 rules against 1", "x", p50_ratio, (at_most(1.2),)),),
            relay=False,
            slow=True,
        ),
        Case(
            "open-channels",
            "open beside 10,000 channels",
            (opens(), opens(channels=10000)),
            (Figure("open p50 with 10,000 open channels against 1", "x", p50_ratio, (at_most(1.2),)),),
        ),
    ]


def _starts(effort: Effort) -> list[Case]:
    none = Run("start", {"count": effort.starts}, Home(helpers=False))
    many = Run("start", {"count": effort.starts}, Home(helpers=False, packages=100))
    return [
        Case(
            "start",
            "start to init",
            (none, many),
            (
                Figure("start to init, no packages", "ms", lambda results: results[0]["p50_ns"] / 1e6, (at_most(25),)),
                Figure(
                    "start to init, what 100 packages add",
                    "ms",
                    lambda results: (results[1]["p50_ns"] - results[0]["p50_ns"]) / 1e6,
                    (at_most(20),),
                ),
                Figure("memory: idle", "MiB", lambda results: results[0]["rss_kib"] / 1024, (at_most(20),)),
            ),
            relay=False,
        ),
        Case(
            "imports",
            "time spent on imports",
            (Run("imports"),),
            (
                Figure("imports from start to end (-X importtime)", "ms", lambda r: r[0]["imports_us"] / 1e3),
                Figure("modules imported", "modules", lambda r: r[0]["modules"]),
            ),
            relay=False,
        ),
    ]


def _memory(effort: Effort) -> list[Case]:
    def per_channel(results: Sequence[Result]) -> float:
        return (results[0]["rss_kib"] - results[0]["rss_before_kib"]) / results[0]["opens"]

    return [
        Case(
            "memory-channel",
            "memory of a channel",
            (Run("burst", {"channels": 10000, "batch": 100}),),
            (Figure("memory: each open channel, of 10,000", "KiB", per_channel, (at_most(0.5),)),),
        ),
        Case(
            "memory-push",
            "front end that does not read",
            (Run("push"),),
            (Figure("memory: growth, 256 MiB for a front end that does not read", "MiB", growth_mib, (at_most(20),)),),
            slow=True,
        ),
        Case(
            "memory-stall",
            "helper that does not read",
            (Run("stall", {"size": 65536, "drain-ms": effort.drain_ms}),),
            (Figure("memory: growth, 256 MiB for a helper that does not read", "MiB", growth_mib, (at_most(20),)),),
            slow=True,
        ),
    ]
