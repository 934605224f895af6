"""Who got no processor: the kernel counts for how long a process was ready to run and did not.

Limits of a helper's time are by the clock. On a machine with much else to do an honest one may be silent for longer;
that is neither its fault nor the bridge's, and no finding.
"""

from collections import deque
from pathlib import Path
from typing import Final

from spanbridge.testing import processes

_KEPT_SECONDS: Final = 30.0
_EACH_SECONDS: Final = 0.5
_SHARE: Final = 0.5  # of a limit, without a processor: then it is excused

Sample = tuple[float, int]  # when, and nanoseconds until then


class Starved:
    """The children of one process, over the last seconds."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._samples: dict[int, deque[Sample]] = {}
        self._next_at = 0.0

    def look(self, now: float) -> None:
        """Called as often as one likes."""
        if now < self._next_at:
            return
        self._next_at = now + _EACH_SECONDS
        for pid in processes.children(self._parent):
            if (waited := _waited(pid)) is not None:
                self._samples.setdefault(pid, deque()).append((now, waited))
        for pid, samples in list(self._samples.items()):
            while samples and samples[0][0] < now - _KEPT_SECONDS:
                samples.popleft()
            if not samples:
                del self._samples[pid]

    def was(self, pid: int, limit: float, now: float) -> bool:
        """Whether that one had no processor for much of the time of this limit, which has just run out for it."""
        begun = now - limit - 2 * _EACH_SECONDS
        waited = [ns for at, ns in self._samples.get(pid, ()) if at >= begun]
        return bool(waited) and (waited[-1] - waited[0]) / 1e9 >= _SHARE * limit

    def any(self, limit: float, now: float) -> bool:
        """Whether one of them had none: one that was being started, say."""
        return any(self.was(pid, limit, now) for pid in self._samples)


def _waited(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    except OSError:  # it has ended, or this kernel does not count
        return None
