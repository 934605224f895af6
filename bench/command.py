"""What both commands of the bench have in common: peers are found, measured, and whatever is left of them is ended."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench.build import BuildError, build
from bench.peers import Peer, find_peers
from bench.reaper import adopt_orphans, kill_children

Found = tuple[list[Peer], list[str]]
"""Peers, and a line for each that is missing."""


def parser(program: str, about: str | None, quick: str, peers: str) -> argparse.ArgumentParser:
    """`quick`: what it does to a run, `peers`: which there are."""
    made = argparse.ArgumentParser(prog=program, description=about)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--out", type=Path, help="directory for the results; with --case nothing is written without it")
    made.add_argument("--case", action="append", default=[], help="only this case or curve; may be repeated")
    made.add_argument("--list", action="store_true", help="only name the cases and curves")
    made.add_argument("--peers", help=f"only these, with commas: {peers}")
    made.add_argument("--spanbridge", help="command line of spanbridge, e.g. under a profiler")
    made.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=[VAR=VALUE ...] COMMAND",
        help="one more peer, as a shell would start it; may be repeated",
    )
    made.add_argument("--rounds", type=int, help="rounds of each case")
    return made


def run(
    arguments: argparse.Namespace,
    measure: Callable[[argparse.Namespace, list[Peer]], int],
    *,
    choose: Callable[[Found], Found] = lambda found: found,
) -> int:
    """The exit status: 0 done (targets met or not), 1 a run failed, 2 it cannot run at all. `choose`: other peers."""
    try:
        build()
        peers, missing = choose(find_peers(arguments.spanbridge, arguments.variant))
    except (BuildError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for line in missing:
        print(line, file=sys.stderr)
    if arguments.peers:
        peers = [peer for peer in peers if peer.name in arguments.peers.split(",")]
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return measure(arguments, peers)
    except KeyboardInterrupt:
        print("bench: interrupted, nothing written", file=sys.stderr)
        return 130
    finally:
        kill_children()
