"""Whom errands need beside the bridge, how these are killed, and what may become of an errand whose partner was.

A partner is `shaken` from its death until an errand that was begun after it has ended well. All that are on their way
meanwhile may fail, if they say clearly why; whatever has come of them must be theirs.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from spanbridge.testing import processes

from . import errands
from .errands import Errand, Make, Outcome

SSH: Final = "ssh"
BUS: Final = "bus"
EXTENSIONS: Final = "extensions"


class Partner(NamedTuple):
    """`probe`: an errand for it. `problems`: the codes of a close that say clearly that it has died; `internal-error`
    is for one that was about to start."""

    probe: Make
    problems: frozenset[str]


PARTNERS: Final[Mapping[str, Partner]] = {
    SSH: Partner(errands.far_program, frozenset({"terminated", "internal-error"})),
    BUS: Partner(errands.bus, frozenset({"disconnected", "not-found", "access-denied"})),
    EXTENSIONS: Partner(errands.extension, frozenset({"terminated", "internal-error"})),
}
NEEDS: Final[Mapping[Callable[..., object], str]] = {
    errands.far_program: SSH,
    errands.far_file: SSH,
    errands.bus: BUS,
    errands.extension: EXTENSIONS,
}


def misfortune(name: str, errand: Errand, outcome: Outcome) -> str:
    """What is wrong with an errand that has failed while its partner was shaken; empty: it is excused."""
    told = outcome.told["close"]
    if not errand.own(outcome):
        return f"{len(outcome.bytes)} bytes that are not its own: {outcome.bytes[:200]!r}"
    problem = outcome.problem
    if problem is not None and (problem not in PARTNERS[name].problems or not told.get("message")):
        return f"expected one of {sorted(PARTNERS[name].problems)} and a message, found {told}"
    if problem is None and not _OTHERWISE[name](outcome):
        return f"expected a problem, found {told} and {outcome.bytes[:200]!r}"
    return ""


def _no_end(outcome: Outcome) -> bool:
    return False


def _error_of_the_bus(outcome: Outcome) -> bool:
    """The service had no name when the call came."""
    return b'"error"' in outcome.data[-1]


def _error_of_the_host(outcome: Outcome) -> bool:
    return outcome.told["response"]["status"] in (502, 503) and b'"error"' in outcome.bytes


_OTHERWISE: Final[Mapping[str, Callable[[Outcome], bool]]] = {
    SSH: _no_end,
    BUS: _error_of_the_bus,
    EXTENSIONS: _error_of_the_host,
}


def ssh_of(bridge: int) -> list[int]:
    """The connections to other hosts."""
    return [pid for pid in processes.children(bridge) if _name(pid) == "ssh"]


def hosts_of_extensions(started: list[int]) -> list[int]:
    """Of the processes that a bridge has started, the hosts."""
    return [pid for pid in started if "spanbridge.extensions.host" in processes.describe(pid)]


def kill(pids: list[int]) -> int:
    """How many were there to be killed."""
    done = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            done += 1
    return done


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
