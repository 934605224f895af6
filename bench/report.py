"""The results as a table for people and as JSON for programs."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.cases import Case, Figure, Target
from bench.curves import Curve
from bench.peers import COCKPIT, SPANBRIDGE
from bench.rounds import Outcome
from bench.run import Result

Machine = dict[str, str | int]
NOTHING = "-"


@dataclass
class Measured:
    """All that one invocation found out."""

    machine: Machine
    peers: list[str]
    cases: list[tuple[Case, Outcome]] = field(default_factory=list)
    curves: list[tuple[Curve, dict[int, Outcome]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def errors(self) -> list[str]:
        """What went wrong, each with the name of its case or curve."""
        outcomes = [(case.name, outcome) for case, outcome in self.cases]
        for curve, points in self.curves:
            outcomes += [(f"curve-{curve.name} {point}", outcome) for point, outcome in points.items()]
        return [f"{name}: {error}" for name, outcome in outcomes for error in outcome.errors.values()]

    @property
    def failed(self) -> bool:
        """Whether any run failed."""
        return bool(self.errors)


def table(measured: Measured) -> str:
    """Markdown: one row for each target, then the machine, then what failed."""
    header = ["case", "unit", "target", *measured.peers, "ratio", "verdict"]
    lines = [_row(header), _row(["---"] * 3 + ["---:"] * len(measured.peers) + ["---:", "---"])]
    for case, outcome in measured.cases:
        for figure in case.figures:
            lines += [_row(cells) for cells in _rows(figure, outcome, measured.peers)]
    lines += ["", *(f"- {remark}" for remark in _remarks(measured))]
    if measured.errors:
        first_lines = (f"- {error.splitlines()[0]}" for error in measured.errors)
        lines += ["", "Failed (what each side said is in the JSON file and was on stderr):", "", *first_lines]
    return "\n".join(lines)


def raw(measured: Measured) -> dict[str, object]:
    """All rounds of all runs, with the machine they ran on."""
    return {
        "machine": measured.machine,
        "seconds": measured.seconds,
        "cases": {
            case.name: {
                "runs": [{"mode": run.mode, "options": run.options, "one-cpu": run.one_cpu} for run in case.runs],
                "figures": {figure.title: _figure(figure, outcome) for figure in case.figures},
                "rounds": outcome.results,
                "errors": outcome.errors,
            }
            for case, outcome in measured.cases
        },
        "curves": {
            curve.name: {
                str(point): {
                    "figures": {figure.title: _figure(figure, outcome) for figure in curve.figures},
                    "rounds": outcome.results,
                    "errors": outcome.errors,
                }
                for point, outcome in points.items()
            }
            for curve, points in measured.curves
        },
    }


def _figure(figure: Figure, outcome: Outcome) -> dict[str, object]:
    medians = {peer: outcome.median(figure, peer) for peer in outcome.results}
    return {"unit": figure.unit, "medians": medians}


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rows(figure: Figure, outcome: Outcome, peers: list[str]) -> Iterator[list[str]]:
    values = [_cell(figure, outcome, peer) for peer in peers]
    if not figure.targets:
        yield [figure.title, figure.unit, NOTHING, *values, *_ratio(figure, outcome), NOTHING]
    for target in figure.targets:
        reached = outcome.ratio(figure, SPANBRIDGE, target)
        ratio = _number(reached) if reached is not None and target.against else NOTHING
        yield [figure.title, figure.unit, _target(target), *values, ratio, _verdict(target, reached)]


def _ratio(figure: Figure, outcome: Outcome) -> list[str]:
    ratio = outcome.ratio(figure, SPANBRIDGE, Target(0, True, COCKPIT))
    return [_number(ratio) if ratio is not None else NOTHING]


def _cell(figure: Figure, outcome: Outcome, peer: str) -> str:
    if peer in outcome.errors:
        return "failed"
    median = outcome.median(figure, peer)
    return _number(median) if median is not None else NOTHING


def _target(target: Target) -> str:
    bound = f"{'at least' if target.at_least else 'at most'} {target.bound:g}"
    return f"{bound} x {target.against}" if target.against else bound


def _verdict(target: Target, reached: float | None) -> str:
    if reached is None:
        return NOTHING
    if reached >= target.bound if target.at_least else reached <= target.bound:
        return "met"
    return f"missed by {abs(reached / target.bound - 1):.0%}"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _remarks(measured: Measured) -> Iterator[str]:
    machine = ", ".join(f"{name} {value}" for name, value in measured.machine.items())
    yield f"Machine: {machine}."
    counts = [len(results) for _, outcome in measured.cases for results in outcome.results.values()] or [0]
    yield f"Medians of {min(counts)} to {max(counts)} rounds, the peers in turn. {measured.seconds:.0f} s in all."
    yield "A ratio is the median of the ratios within each round."
    for case, outcome in measured.cases:
        for peer, results in outcome.results.items():
            taken = _median_of("bytes_taken", results)
            back = _median_of("bytes_back", results)
            if taken > back:
                yield (
                    f"{case.name}: {peer} took {taken / 2**20:.0f} MiB, of which {back / 2**20:.0f} MiB had come "
                    "back when the wait was over."
                )


def _median_of(member: str, results: Sequence[Sequence[Result]]) -> float:
    return statistics.median([runs[0].get(member, 0) for runs in results] or [0])
