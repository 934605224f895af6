"""``python -m bench``: measures every peer, writes table, raw figures and plots.

One case under a profiler: ``python -m bench --case echo-64 --peers spanbridge --rounds 1 --ms 3000 --spanbridge
'.venv/bin/python -m cProfile -o /tmp/profile .venv/bin/spanbridge'``.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import command
from bench.cases import FULL, QUICK, Effort, all_cases
from bench.curves import Curve, all_curves
from bench.machine import describe
from bench.peers import Peer
from bench.plot import Series, plot
from bench.report import Measured, raw, table
from bench.rounds import Outcome, applicable, run_rounds

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """The command; its exit status as in command.run."""
    parser = command.parser(
        "python -m bench", __doc__, "fewer rounds and points, under a minute", "spanbridge,cockpit-bridge,relay"
    )
    parser.add_argument("--ms", type=int, help="length of a stream, milliseconds")
    return command.run(parser.parse_args(), _measure)


def _effort(arguments: argparse.Namespace) -> Effort:
    effort = QUICK if arguments.quick else FULL
    if arguments.rounds is not None:
        effort = replace(effort, rounds=arguments.rounds, slow_rounds=arguments.rounds, curve_rounds=arguments.rounds)
    if arguments.ms is not None:
        effort = replace(effort, ms=arguments.ms, curve_ms=arguments.ms)
    return effort


def _measure(arguments: argparse.Namespace, peers: Sequence[Peer]) -> int:
    effort = _effort(arguments)
    cases, curves = all_cases(effort), all_curves(effort)
    names = [case.name for case in cases] + [f"curve-{curve.name}" for curve in curves]
    if arguments.list:
        print("\n".join(names))
        return 0
    wanted = arguments.case or names
    if unknown := set(wanted) - set(names):
        print(f"bench: no case {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    before = time.perf_counter()
    measured = Measured(describe(), [peer.name for peer in peers])
    for case in cases:
        if case.name in wanted:
            rounds = effort.slow_rounds if case.slow else effort.rounds
            outcome = run_rounds(case.name, case.runs, applicable(case, peers), rounds)
            measured.cases.append((case, outcome))
            _progress(case.name, outcome)
    for curve in curves:
        if f"curve-{curve.name}" in wanted:
            points = curve.quick if arguments.quick else curve.points
            measured.curves.append((curve, _run_curve(curve, points, peers, effort.curve_rounds)))
    measured.seconds = time.perf_counter() - before
    text = table(measured)
    print(text)
    if arguments.out is not None or not arguments.case:
        _write(arguments.out or RESULTS, measured, text)
    return 1 if measured.failed else 0


def _run_curve(curve: Curve, points: Sequence[int], peers: Sequence[Peer], rounds: int) -> dict[int, Outcome]:
    outcomes = {}
    for point in points:
        label = f"curve-{curve.name} {point}"
        chosen = [peer for peer in peers if peer.speaks or curve.relay]
        outcomes[point] = run_rounds(label, (curve.run(point),), chosen, rounds)
        _progress(label, outcomes[point])
    return outcomes


def _progress(label: str, outcome: Outcome) -> None:
    print(f"{label}: {outcome.seconds:.1f} s", file=sys.stderr)


def _write(out: Path, measured: Measured, text: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(text + "\n")
    (out / "results.json").write_text(json.dumps(raw(measured), indent=1) + "\n")
    for curve, outcomes in measured.curves:
        for number, figure in enumerate(curve.figures):
            series = []
            for peer in measured.peers:
                values = ((point, outcome.median(figure, peer)) for point, outcome in outcomes.items())
                points = [(float(point), value) for point, value in values if value is not None]
                series.append(Series(peer, points))
            name = curve.name if number == 0 else f"{curve.name}-cpu"
            (out / f"{name}.svg").write_text(plot(figure.title, curve.axis, figure.unit, series))
    print(f"written: {out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
