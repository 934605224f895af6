"""What runs below a process, and that it all ends with it, read from /proc (Linux)."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "BROWSER_TEST_RUN"
"""Environment variable that a program under test and all it starts carry. The value tells runs apart."""

END_SECONDS = 15.0
"""How long a family may take to end: the bridge gives its helpers 4 s before it kills them."""


class LeftBehind(AssertionError):
    """A program under test has ended, and something it had started has not."""


def parents() -> dict[int, int]:
    """Parent pid by pid, for every process there is."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stat = Path(entry.path, "stat").read_bytes()
                # The name, in parentheses, may hold anything; state and parent follow the last one.
                found[int(entry.name)] = int(stat.rpartition(b")")[2].split()[1])
    return found


def children(pid: int) -> list[int]:
    return sorted(child for child, parent in parents().items() if parent == pid)


def descendants(pid: int) -> list[int]:
    """Everything below `pid`, without `pid` itself and without what was orphaned on the way."""
    table = parents()
    found: set[int] = set()
    layer = {pid}
    while layer:
        layer = {child for child, parent in table.items() if parent in layer} - found
        found |= layer
    return sorted(found)


def marked(run: str) -> list[int]:
    """Processes that carry this run's mark and whose environment may be read, orphans included."""
    wanted = f"{MARK}={run}".encode()
    found = []
    for pid in parents():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def executable(pid: int) -> str:
    """Path of the program file; empty for a process that has ended or that another user owns."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]


def command_of(pid: int) -> list[str]:
    """Its arguments; none for a process that has ended, reaped or not."""
    try:
        return arguments(pid)
    except OSError:
        return []


def program(pid: int) -> str:
    """The first of its arguments; empty for a process that has ended."""
    return next(iter(command_of(pid)), "")


def describe(pid: int) -> str:
    try:
        return f"{pid} ({' '.join(arguments(pid))})"
    except OSError:
        return f"{pid} (ended)"


class Family:
    """Processes held by pidfd, so that a pid which is used again is not taken for the old process."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def hold(self, pids: Iterable[int]) -> None:
        for pid in pids:
            if pid not in self._held:
                with contextlib.suppress(ProcessLookupError):
                    self._held[pid] = os.pidfd_open(pid)

    def wait(self, until: float) -> list[int]:
        """Let go of each that has ended, up to the time `until` (monotonic, seconds). Gives those that have not."""
        poll = select.poll()
        running = {descriptor: pid for pid, descriptor in self._held.items()}
        for descriptor in running:
            poll.register(descriptor, select.POLLIN)
        while running and (ended := poll.poll(max(0, until - time.monotonic()) * 1000)):
            for descriptor, _ in ended:
                poll.unregister(descriptor)
                os.close(descriptor)
                del self._held[running.pop(descriptor)]
        return sorted(self._held)

    def kill(self) -> None:
        for descriptor in self._held.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def let_go(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1])


@contextlib.contextmanager
def whole_family_ends(run: str, seconds: float = END_SECONDS) -> Iterator[Family]:
    """The block ends a program under test; with it must end all that has the mark `run`, and all the block holds.

    What has not after `seconds` is killed, so that nothing outlives a test, and then named in `LeftBehind`.
    """
    family = Family()
    try:
        yield family
    finally:
        until = time.monotonic() + seconds
        family.hold(marked(run))
        family.wait(until)
        family.hold(marked(run))  # started while the others were ending
        left = [describe(pid) for pid in family.wait(until)]
        family.kill()
        family.wait(time.monotonic() + seconds)
        family.let_go()
        if left:
            raise LeftBehind(f"still running {seconds:g} s after the end: {', '.join(left)}")
