"""``python -m bench.served``: what a bridge serves itself, beside Debian's bridge in C and the newer one in Python."""

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.build import BuildError, build
from bench.cases import FULL, QUICK
from bench.machine import describe
from bench.peers import RELAY, Peer, find_peers, find_python_bridge
from bench.reaper import adopt_orphans, kill_children
from bench.report import Measured, raw, table
from bench.rounds import applicable, run_rounds
from bench.served.cases import served_cases
from bench.served.stage import stage

RESULTS = Path(__file__).parents[1] / "results"
PAGE = Path(__file__).parents[2] / "docs/performance.md"
HEADING = "## What the bridge serves itself\n"
FULL_BYTES, QUICK_BYTES = 512 << 20, 64 << 20


def main() -> int:
    """The command; its exit status: 0 done (targets met or not), 1 a run failed, 2 it cannot run at all."""
    arguments = _arguments()
    try:
        build()
        peers, missing = find_peers(arguments.spanbridge, arguments.variant)
    except (BuildError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    peers = [peer for peer in peers if peer.name != RELAY]
    python = find_python_bridge()
    if python is not None:
        peers.append(python)
    else:
        missing.append("python-bridge: not there (.ci/fetch-backports), skipped")
    for line in missing:
        print(line, file=sys.stderr)
    if arguments.peers:
        peers = [peer for peer in peers if peer.name in arguments.peers.split(",")]
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _measure(arguments, peers)
    except KeyboardInterrupt:
        print("bench: interrupted, nothing written", file=sys.stderr)
        return 130
    finally:
        kill_children()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.served", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller files, under two minutes")
    parser.add_argument("--out", type=Path, help="directory for the results; with --case nothing is written without it")
    parser.add_argument("--case", action="append", default=[], help="only this case; may be repeated")
    parser.add_argument("--list", action="store_true", help="only name the cases")
    parser.add_argument("--peers", help="only these, with commas: spanbridge,cockpit-bridge,python-bridge")
    parser.add_argument("--spanbridge", help="command line of spanbridge, e.g. under a profiler")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=COMMAND", help="one more peer")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/performance.md, too")
    parser.add_argument("--rounds", type=int, help="rounds of each case")
    return parser.parse_args()


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
