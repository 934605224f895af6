"""A command that speaks frames on its stdin and stdout: from its start to its end."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..child import start
from ..recordings.stream import CHUNK_BYTES, Stream
from ..recordings.wire import Wire
from ..signals import Woken

EXIT_SECONDS: Final = 6.0  # a bridge gives its own helpers 2 seconds twice
TERM_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 0.3  # a wait that nobody need be told of


class End(NamedTuple):
    """How it ended: in words, and the exit status as a shell would give it."""

    words: str
    status: int


class Connection:
    """Starts `argv`, in a session of its own; `end` must follow. Raises StartError.

    `logged`: its stderr is a pipe, `stderr`, to be read with `log`; else it is ours. `wire` is its stdin and stdout.
    """

    def __init__(self, argv: Sequence[str], *, logged: bool = False) -> None:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            child_in, stdin = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, child_in)
            ours.callback(os.close, stdin)
            stdout, child_out = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, child_out)
            ours.callback(os.close, stdout)
            self.stderr, child_err = os.pipe2(os.O_CLOEXEC) if logged else (-1, None)
            if child_err is not None:
                theirs.callback(os.close, child_err)
                ours.callback(os.close, self.stderr)
            self._process = start(argv, child_in, child_out, child_err, session=True)
            self.pidfd = os.pidfd_open(self._process.pid)
            ours.pop_all()
        for fd in (stdin, stdout, self.stderr):
            if fd >= 0:
                os.set_blocking(fd, False)
        self.wire = Wire(Stream(stdin, writes=True), Stream(stdout))

    def log(self) -> bytes:
        """What its stderr has said; b"" at its end."""
        try:
            data = os.read(self.stderr, CHUNK_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            os.close(self.stderr)
            self.stderr = -1
        return data

    def end(self, woken: Woken, *, at_once: bool = False, patience: Callable[[float], None] | None = None) -> End:
        """Hang up, and wait until it has ended: SIGTERM after a while, or at any signal of ours, then SIGKILL.

        What it says meanwhile is dropped. `at_once`: begin with the SIGTERM. `patience` is called once it is plain that
        there is something to wait for before that, with the seconds.
        """
        self.wire.hang_up(at_once=at_once)
        steps = [(signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, None)]
        seconds: float | None = 0 if at_once else EXIT_SECONDS
        while not self._gone(seconds, woken, None if at_once else patience):
            patience = None
            number, seconds = steps.pop(0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        return self._reap()

    def _gone(self, seconds: float | None, woken: Woken, patience: Callable[[float], None] | None) -> bool:
        """Wait for its end, for so long (None: however long), or until a signal comes."""
        now = time.monotonic()
        until = None if seconds is None else now + seconds
        told_at = now + PATIENCE_SECONDS
        while True:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            self.wire.register(poll)
            if seconds is not None:
                poll.register(woken.fd, select.POLLIN)
            if self.stderr >= 0:
                poll.register(self.stderr, select.POLLIN)
            wake = until if patience is None else told_at
            events = dict(poll.poll(None if wake is None else max(0.0, wake - time.monotonic()) * 1000))
            if self.pidfd in events:
                return True
            if not events and patience is not None:
                patience(seconds or 0)
                patience = None
                continue
            if not events or (woken.fd in events and woken.take()):
                return False
            for _ in self.wire.step(events) or ():
                pass
            if self.stderr in events:
                self.log()

    def _reap(self) -> End:
        status = self._process.wait()
        self.wire.close()
        os.close(self.pidfd)
        if self.stderr >= 0:
            os.close(self.stderr)
        self.stderr = self.pidfd = -1
        if status >= 0:
            return End(f"exited with status {status}", status)
        try:
            return End(f"was killed by {signal.Signals(-status).name}", 128 - status)
        except ValueError:  # a real-time signal
            return End(f"was killed by signal {-status}", 128 - status)
