"""A command that speaks frames on its stdin and stdout: what is said to it waits here until it is taken."""

import os
import select
import signal
from collections.abc import Iterator, Sequence
from typing import Final

from .child import start
from .follower import Follower, Garbage, Seen
from .signals import Woken

CHUNK_BYTES: Final = 65_536
EXIT_SECONDS: Final = 10.0  # a bridge gives its own helpers 2 seconds twice
TERM_SECONDS: Final = 5.0


class Connection:
    """Starts `argv`, in a session of its own; `end` must follow. Raises StartError.

    `logged`: its stderr is a pipe, to be read from `stderr`; else it is ours.
    """

    def __init__(self, argv: Sequence[str], *, logged: bool = False, session: bool = True) -> None:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3 if logged else 2)]
        (child_in, self.stdin), (self.stdout, child_out) = pipes[:2]
        self.stderr, child_err = pipes[2] if logged else (-1, None)
        ours = [self.stdin, self.stdout] + ([self.stderr] if logged else [])
        try:
            self._process = start(argv, child_in, child_out, child_err, session=session)
            self.pidfd = os.pidfd_open(self._process.pid)
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in (child_in, child_out, *([child_err] if child_err is not None else [])):
                os.close(fd)
        for fd in ours:
            os.set_blocking(fd, False)
        self._session = session
        self._follower = Follower(None)
        self._waiting = memoryview(b"")
        self._hang_up = False

    # To it

    @property
    def waiting(self) -> bool:
        """Whether it has not taken all that was sent."""
        return len(self._waiting) > 0

    def send(self, frames: bytes) -> None:
        """Write whole frames, as far as there is room; the rest waits for `flush`."""
        if self.stdin < 0 or self._hang_up:
            return
        self._waiting = memoryview(bytes(self._waiting) + frames) if self._waiting else memoryview(frames)
        self.flush()

    def hang_up(self) -> None:
        """Close its stdin once it has taken what waits."""
        self._hang_up = True
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as there is room."""
        try:
            while self._waiting and self.stdin >= 0:
                self._waiting = self._waiting[os.write(self.stdin, self._waiting[: 16 * CHUNK_BYTES]) :]
        except BlockingIOError:
            return
        except OSError:  # it reads no more: what it still says tells why
            self._waiting = memoryview(b"")
            self._hang_up = True
        if self._hang_up and self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    # From it

    def read(self) -> Iterator[Seen | Garbage] | None:
        """The frames of the next chunk, once poll(2) has told of something; None at the end."""
        try:
            chunk = os.read(self.stdout, CHUNK_BYTES)
        except BlockingIOError:
            return iter(())
        if not chunk:
            os.close(self.stdout)
            self.stdout = -1
            return None
        return self._follower.feed(chunk)

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that is not whole."""
        return self._follower.unfinished

    # The end

    def end(self, woken: Woken, *, at_once: bool = False) -> str:
        """Hang up, and wait until it has ended: SIGTERM after a while, or at any signal of ours, then SIGKILL.

        How it ended, in words. What it says meanwhile is dropped.
        """
        self._waiting = self._waiting if not at_once else memoryview(b"")
        self.hang_up()
        steps = [(signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, None)]
        seconds: float | None = 0 if at_once else EXIT_SECONDS
        while not self._gone(seconds, woken):
            number, seconds = steps.pop(0)
            self._signal(number)
        return self._reap()

    def _gone(self, seconds: float | None, woken: Woken) -> bool:
        import time

        until = None if seconds is None else time.monotonic() + seconds
        while True:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            if seconds is not None:
                poll.register(woken.fd, select.POLLIN)
            for fd in (self.stdout, self.stderr):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
            if self.stdin >= 0:
                poll.register(self.stdin, select.POLLOUT)
            left = None if until is None else max(0.0, until - time.monotonic()) * 1000
            events = dict(poll.poll(left))
            if self.pidfd in events:
                return True
            if not events or (woken.fd in events and woken.take()):
                return False
            self.flush()
            self._drop(events)

    def _drop(self, events: dict[int, int]) -> None:
        if self.stdout in events and self.read() is None:
            return
        if self.stderr in events and not self.pass_log():
            return

    def pass_log(self) -> bytes:
        """What its stderr has said, b"" at its end, or where nothing waits."""
        try:
            data = os.read(self.stderr, CHUNK_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            os.close(self.stderr)
            self.stderr = -1
        return data

    def _signal(self, number: int) -> None:
        try:
            if self._session:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass

    def _reap(self) -> str:
        status = self._process.wait()
        for fd in (self.stdin, self.stdout, self.stderr, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = self.stderr = self.pidfd = -1
        if status >= 0:
            return f"exited with status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
