"""What /proc tells of processes (Linux)."""

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from .deadline import Deadline
from .tracebacks import HIDE

__tracebackhide__ = HIDE


def parents() -> dict[int, int]:
    """Parent pid by pid, for every process there is."""
    found = {}
    for pid in _pids():
        with contextlib.suppress(OSError):
            found[pid] = int(_stat(pid)[1])
    return found


def children(pid: int) -> list[int]:
    """The children of `pid`, zombies among them."""
    return sorted(child for child, parent in parents().items() if parent == pid)


def state(pid: int) -> str:
    """The letter of proc(5): R, S, T, Z...; empty once it is gone."""
    try:
        return _stat(pid)[0]
    except OSError:
        return ""


def marked(mark: str) -> list[int]:
    """Processes with `mark`, a NAME=value, in the environment that they were started with. No zombies."""
    wanted = mark.encode()
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def resident_bytes(pid: int) -> int:
    """Memory in use (VmRSS)."""
    return _status_kib(pid, "VmRSS") * 1024


def peak_bytes(pid: int) -> int:
    """The most memory that was ever in use (VmHWM), since the last `reset_peak`."""
    return _status_kib(pid, "VmHWM") * 1024


def reset_peak(pid: int) -> None:
    """Let `peak_bytes` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def descriptors(pid: int) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def wait_ended(pids: Iterable[int], deadline: Deadline | None = None) -> list[int]:
    """Wait until they have ended, be they anybody's children. The pids of those that have not by the deadline."""
    deadline = deadline or Deadline()
    left = []
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([fd], [], [], deadline.left)[0]:
                left.append(pid)
        finally:
            os.close(fd)
    return left


def kill(pids: Iterable[int]) -> None:
    """SIGKILL for each of them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def describe(pid: int) -> str:
    """Pid and command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        command = "gone"
    return f"{pid} ({command.strip()[:200]})"


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"{pid} has no {name}: it has ended")
