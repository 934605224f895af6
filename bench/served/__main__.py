"""``python -m bench.served``: what a bridge serves itself, beside Debian's bridge in C and the newer one in Python."""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import command
from bench.cases import FULL, QUICK
from bench.machine import describe
from bench.peers import RELAY, Peer, find_python_bridge
from bench.report import Measured, raw, table
from bench.rounds import applicable, run_rounds
from bench.served.cases import served_cases
from bench.served.stage import stage

RESULTS = Path(__file__).parents[1] / "results"
PAGE = Path(__file__).parents[2] / "docs/performance.md"
HEADING = "## What the bridge serves itself\n"
FULL_BYTES, QUICK_BYTES = 512 << 20, 64 << 20


def main() -> int:
    """The command; its exit status as in command.run."""
    parser = command.parser(
        "python -m bench.served",
        __doc__,
        "fewer rounds, smaller files, under two minutes",
        "spanbridge,cockpit-bridge,python-bridge",
    )
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md, too")
    return command.run(parser.parse_args(), _measure, choose=_without_the_relay)


def _without_the_relay(found: command.Found) -> command.Found:
    """But with the newer bridge, which has payloads of its own."""
    peers, missing = found
    python = find_python_bridge()
    if python is None:
        missing = [*missing, "python-bridge: not there (.ci/fetch-backports), skipped"]
    return [*(peer for peer in peers if peer.name != RELAY), *([python] if python is not None else [])], missing


def _measure(arguments: argparse.Namespace, peers: Sequence[Peer]) -> int:
    effort, size = (QUICK, QUICK_BYTES) if arguments.quick else (FULL, FULL_BYTES)
    if arguments.rounds is not None:
        effort = replace(effort, rounds=arguments.rounds, slow_rounds=arguments.rounds)
    if arguments.list:
        print("\n".join(case.name for case in served_cases(effort, Path(), size)))
        return 0
    before = time.perf_counter()
    measured = Measured(describe(), [peer.name for peer in peers])
    with stage(size) as files:
        cases = served_cases(effort, files, size)
        if unknown := set(arguments.case) - {case.name for case in cases}:
            print(f"bench: no case {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        for case in cases:
            if not arguments.case or case.name in arguments.case:
                rounds = effort.slow_rounds if case.slow else effort.rounds
                outcome = run_rounds(case.name, case.runs, applicable(case, peers), rounds)
                measured.cases.append((case, outcome))
                print(f"{case.name}: {outcome.seconds:.1f} s", file=sys.stderr)
    measured.seconds = time.perf_counter() - before
    text = table(measured)
    print(text)
    if arguments.out is not None or not arguments.case:
        out = arguments.out or RESULTS
        out.mkdir(parents=True, exist_ok=True)
        (out / "served.md").write_text(text + "\n")
        (out / "served.json").write_text(json.dumps(raw(measured), indent=1) + "\n")
        print(f"written: {out}", file=sys.stderr)
    if arguments.docs:
        _put_into_docs(text)
    return 1 if measured.failed else 0


def _put_into_docs(text: str) -> None:
    """The rows of the table, and the line on the machine, instead of those that are there."""
    before, heading, after = PAGE.read_text().partition(HEADING)
    rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    machine = next(line for line in text.splitlines() if line.startswith("- Machine: "))
    after = re.sub(r"(?m)(^\|.*\n)+", lambda _: rows + "\n", after, count=1)
    after = re.sub(r"(?m)^- Machine: .*$", lambda _: machine, after, count=1)
    PAGE.write_text(before + heading + after)


if __name__ == "__main__":
    sys.exit(main())
