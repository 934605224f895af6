"""Interleaved rounds: all peers in turn, again and again, so that what the machine does meanwhile hits all alike."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cases import Case, Figure, Target
from bench.peers import Peer
from bench.run import Result, Run, RunError, measure
from bench.start import measure_imports, measure_start


@dataclass
class Outcome:
    """What a case's runs brought.

    Attributes:
        results: for each peer by name, for each round, one result for each run of the case.
        errors: for each peer that failed, what went wrong; it takes no part in later rounds.
        seconds: the time that all of it took.
    """

    results: dict[str, list[list[Result]]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def values(self, figure: Figure, peer: str) -> list[float]:
        """The figure in each round."""
        return [figure.value(results) for results in self.results.get(peer, []) if all(results)]

    def median(self, figure: Figure, peer: str) -> float | None:
        """The median over all rounds; None if there are none."""
        values = self.values(figure, peer)
        return statistics.median(values) if values else None

    def ratio(self, figure: Figure, peer: str, target: Target) -> float | None:
        """What the target bounds: the median of the figure, or of its ratios round by round."""
        if not target.against:
            return self.median(figure, peer)
        theirs = self.values(figure, target.against)
        ratios = [mine / other for mine, other in zip(self.values(figure, peer), theirs, strict=False) if other]
        return statistics.median(ratios) if ratios else None


def run_once(peer: Peer, run: Run) -> Result:
    """One run, of whatever kind.

    Raises:
        RunError: it failed.
    """
    if run.call is not None:
        return run.call(peer)
    if run.mode == "start":
        return measure_start(peer, run)
    if run.mode == "imports":
        return measure_imports(peer)
    return measure(peer, run)


def run_rounds(label: str, runs: Sequence[Run], peers: Sequence[Peer], rounds: int) -> Outcome:
    """Every run for every peer, `rounds` times over. A peer that fails is left out of what follows."""
    outcome = Outcome({peer.name: [] for peer in peers})
    before = time.perf_counter()
    for _ in range(rounds):
        for peer in peers:
            if peer.name in outcome.errors:
                continue
            try:
                outcome.results[peer.name].append([run_once(peer, run) for run in runs])
            except RunError as error:
                outcome.errors[peer.name] = str(error)
                print(f"{label}: {error}", file=sys.stderr)
    outcome.seconds = time.perf_counter() - before
    return outcome


def applicable(case: Case, peers: Sequence[Peer]) -> list[Peer]:
    """The peers that can take part in a case."""
    return [peer for peer in peers if (peer.speaks or case.relay) and peer.name not in case.without]
