"""The command that a tool runs: its start, and its exit status as a shell would give it."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Final

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """The command could not be started. `status` is what a shell would exit with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def start(
    argv: Sequence[str], stdin: int, stdout: int, stderr: int | None = None, *, session: bool = False
) -> subprocess.Popen[bytes]:
    """Start `argv` on these descriptors; it is killed when we are. Raises StartError.

    `session`: in a session of its own, where no terminal's signals reach it.
    """
    parent = os.getpid()

    def bind() -> None:  # runs between fork and exec
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(NOT_FOUND)

    try:
        return subprocess.Popen(
            list(argv), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=session, preexec_fn=bind
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StartError(status, f"{argv[0]}: {why}") from None


def exit_status(process: "subprocess.Popen[bytes]") -> int:
    """Reap a process that has ended; 128 and the number of the signal where one killed it."""
    status = process.wait()
    return status if status >= 0 else 128 - status
