"""A program on a terminal of its own: what is typed there, and what is shown."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from spanbridge.testing.deadline import SECONDS, Deadline, Hang


class PseudoTerminal:
    """Runs `argv` with a terminal as its stdin, stdout and stderr, which is its controlling one."""

    def __init__(self, argv: Sequence[str | Path], environ: Mapping[str, str], directory: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = b""
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environ, "TERM": "xterm", "NO_COLOR": "1"},
            cwd=directory,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> "PseudoTerminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def echo(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    @property
    def as_before(self) -> bool:
        """Whether the terminal is set as it was at the beginning."""
        return termios.tcgetattr(self._theirs) == self.before

    @property
    def text(self) -> str:
        """All that was shown so far, without the sequences that move the cursor."""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.shown.decode(errors="replace"))

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_shown(self, pattern: str, count: int = 1) -> None:
        """Wait until `pattern` is found so many times in what is shown."""
        deadline = Deadline()
        while len(re.findall(pattern, self.text, re.MULTILINE)) < count:
            if not self._read(deadline.left):
                raise Hang(f"waited for {pattern!r}; shown: {self.text!r}")

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        pidfd = os.pidfd_open(self.process.pid)
        deadline = Deadline()
        try:
            while True:
                ready, _, _ = select.select([pidfd, self._ours], [], [], deadline.left)
                if self._ours in ready:
                    self._read(0)
                elif pidfd in ready:
                    return self.process.wait(SECONDS)
                else:
                    raise Hang(f"waited for the end; shown: {self.text!r}")
        finally:
            os.close(pidfd)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self.shown += os.read(self._ours, 65_536)
        return True
