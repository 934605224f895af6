"""The bridge under test, whose stdin and stdout are a `Wire`."""

import os
import signal
import subprocess
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Final, NamedTuple

from spanbridge.testing import processes
from spanbridge.testing.bridge import MARK
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.tail import Tail

from .model import Violation
from .site import Site
from .wire import Wire

END_SECONDS: Final = 30.0


class Usage(NamedTuple):
    """Bytes of memory, and counts."""

    resident: int
    descriptors: int
    threads: int


class Daemon:
    """Started when made; gone, with all that it started, when it is left as a context manager."""

    def __init__(self, site: Site, limits: Mapping[str, float | str]) -> None:
        self.log = Tail(site.home.root / "bridge.log")
        self._mark = uuid.uuid4().hex
        given = {f"SPANBRIDGE_{name.upper()}": str(value) for name, value in limits.items()}
        from_bridge, child_out = os.pipe()
        child_in, to_bridge = os.pipe()
        with self.log.path.open("ab") as log:
            self._process = subprocess.Popen(
                site.command,
                stdin=child_in,
                stdout=child_out,
                stderr=log,
                env={**site.environ, **given, MARK: self._mark},
                cwd=site.home.root,
            )
        os.close(child_in)
        os.close(child_out)
        self.pid = self._process.pid
        self.wire = Wire(to_bridge, from_bridge)
        self.peak = 0  # bytes of memory at most, as of the last `measure`

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        left = self.marked()
        processes.wait_ended(left, Deadline(END_SECONDS))
        processes.kill(self.marked())

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def reload(self) -> None:
        """And wait until it has. A reload that was asked for before may count for it: then two are seen."""
        before = len(self.log.matches(r"\breloaded\b"))
        self.signal(signal.SIGUSR1)
        self.log.wait(r"\breloaded\b", before + 1)

    def measure(self) -> Usage:
        """What it uses at this moment."""
        self.peak = processes.peak_bytes(self.pid)
        return Usage(processes.resident_bytes(self.pid), processes.descriptors(self.pid), processes.threads(self.pid))

    def end(self) -> None:
        """Hang up. Raises Violation unless it ends with status 0, and nothing of it stays."""
        self.wire.hang_up()
        deadline = Deadline(END_SECONDS)
        while not self.wire.ended and deadline.left:
            if frames := self.wire.turn(deadline.left):
                raise Violation(f"said after the end: {frames[0]}")
        if self.wire.rest:
            raise Violation("its stdout ended within a frame")
        if status := self._process.wait(END_SECONDS):
            raise Violation(f"exit status {status}")
        if left := processes.wait_ended(self.marked(), Deadline(END_SECONDS)):
            raise Violation(f"left behind: {[processes.describe(pid) for pid in left]}")
        if bad := self.log.matches("unforeseen|Traceback| error: "):
            raise Violation(f"in its log: {bad[0]}")

    def marked(self) -> list[int]:
        """All that it has started, directly or not."""
        return processes.marked(f"{MARK}={self._mark}")
