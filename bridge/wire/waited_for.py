"""A program that is waited for, where there is no event loop, or it is to wait, too."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence


def wait_for(
    argv: Sequence[str], environ: Mapping[str, str] | None, seconds: float, *, leaves: bool = False
) -> tuple[int, bytes] | None:
    """Its status, and what it said, as much as a pipe has room for; None: it did not end within `seconds`. What it has
    started ends with it, unless it `leaves` something on purpose, of whose stderr nobody hears. Raises OSError."""
    process = subprocess.Popen(
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if leaves else subprocess.STDOUT,
        start_new_session=True,
    )
    ended = False
    with process.stdout as stdout:  # type: ignore[union-attr]
        try:
            ended = _ends(process, seconds)
            if not ended:
                return None
            os.set_blocking(stdout.fileno(), False)
            said = stdout.read() or b""
        finally:
            if not (ended and leaves):
                _kill_group(process.pid)
    return process.wait(), said


def _ends(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether it does in time. It is reaped only where no pidfd can be had."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:  # an old kernel, a filter of system calls, no descriptor left: it is asked, again and again
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left, or all that are run as another user by now
        return
