"""How cost grows: with the size of frames, the number of channels, helpers, rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.cases import Effort, Figure, cpu_per_frame, frames_per_second, microseconds, stream, stream_to_helpers
from bench.home import Home
from bench.run import Run

FRAMES = Figure("frames per second", "frames/s", frames_per_second)
CPU = Figure("CPU time of the bridge per frame", "us", cpu_per_frame)
OPEN = Figure("open to ready, p50", "us", microseconds("p50_ns"))


@dataclass(frozen=True)
class Curve:
    """One thing that grows, and what is measured at each point.

    Attributes:
        run: makes the run of a point.
        quick: the points when time is short.
    """

    name: str
    axis: str
    points: tuple[int, ...]
    quick: tuple[int, ...]
    run: Callable[[int], Run]
    figures: tuple[Figure, ...] = (FRAMES, CPU)
    relay: bool = True


def all_curves(effort: Effort) -> Sequence[Curve]:
    """The growth curves, with runs as long as `effort` says."""
    short = replace(effort, ms=effort.curve_ms)
    return [
        Curve(
            "size",
            "payload of a frame (bytes), one channel",
            (16, 64, 256, 1024, 4096, 16384, 65536, 1 << 18, 1 << 20, 1 << 22, 1 << 23),
            (16, 1024, 65536, 1 << 23),
            lambda size: stream(short, size=size),
        ),
        Curve(
            "channels",
            "channels of one helper, in turn (200 B frames)",
            (1, 3, 10, 30, 100, 300, 1000, 3000, 10000),
            (1, 100, 10000),
            lambda channels: stream(short, size=200, channels=channels),
        ),
        Curve(
            "helpers",
            "helpers, one channel each, in turn (200 B frames)",
            (1, 2, 4, 8, 16, 32, 64),
            (1, 8, 64),
            lambda helpers: stream_to_helpers(short, helpers),
            relay=False,
        ),
        Curve(
            "rules",
            "rules in the manifests (200 B frames, one channel)",
            (1, 10, 100, 1000, 10000),
            (1, 10000),
            lambda rules: replace(stream(short, size=200), home=Home(rules)),
            relay=False,
        ),
        Curve(
            "rules-open",
            "rules in the manifests",
            (1, 10, 100, 1000, 10000),
            (1, 10000),
            lambda rules: Run("open", {"count": effort.count}, Home(rules), one_cpu=True),
            (OPEN,),
            relay=False,
        ),
    ]
