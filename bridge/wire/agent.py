"""The session's ssh-agent, where it was given none: started before the first program, ended with the session.

`ssh-agent` puts itself into the background, in a session and process group of its own: it is no child of ours. It is
set-group-id on some systems, where a parent-death signal does not reach it; the watchdog does.
"""

import contextlib
import os
import re
import signal
from typing import Final

from ..log import Log
from .find_program import find_program
from .private_directory import private_directory, remove_directory
from .waited_for import wait_for
from .watchdog import Watchdog

SOCKET_VARIABLE: Final = "SSH_AUTH_SOCK"
_LONGEST_SECONDS: Final = 86_400.0  # a program is waited for; much more that would not take
_PID: Final = re.compile(r"\bSSH_AGENT_PID=([0-9]+)")


class Agent:
    """Puts the path of its socket into `environ`, the session's own environment, when it is started, for which it has
    `seconds`."""

    __slots__ = ("_directory", "_environ", "_log", "_pid", "_pidfd", "_seconds", "_started", "_watchdog")

    def __init__(self, log: Log, watchdog: Watchdog, environ: dict[str, str], seconds: float) -> None:
        self._seconds = seconds
        self._log = log
        self._watchdog = watchdog
        self._environ = environ
        self._started = bool(environ.get(SOCKET_VARIABLE))
        self._directory = ""
        self._pid = 0
        self._pidfd = -1

    def start(self) -> None:
        """To be called before anything is started; it does something the first time. Takes some milliseconds."""
        if self._started:
            return
        self._started = True
        if find_program("ssh-agent", self._environ) is None:
            return
        try:
            self._run()
        except OSError as error:
            self._log.warning("no-ssh-agent", why=str(error))
            return
        self._watchdog.add(self._pid)
        self._log.info("ssh-agent-started", pid=self._pid)

    def _run(self) -> None:
        self._directory = private_directory(self._environ, "spanbridge-agent-")
        path = os.path.join(self._directory, "socket")
        seconds = min(self._seconds, _LONGEST_SECONDS)
        ran = wait_for(["ssh-agent", "-s", "-a", path], self._environ, seconds, leaves=True)
        if ran is None:
            raise OSError(f"ssh-agent has not started within {seconds:g} s (ssh_agent_seconds)")
        status, said = ran
        if status:
            raise OSError(f"ssh-agent has ended with status {status}")
        found = _PID.search(said.decode(errors="replace"))
        if found is None:
            raise OSError("ssh-agent does not tell its process id")
        self._pid = int(found[1])
        try:
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:  # an old kernel, a filter of system calls, no descriptor left
            os.kill(self._pid, signal.SIGTERM)
            raise
        self._environ[SOCKET_VARIABLE] = path

    def end(self) -> None:
        """It forgets its keys."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            os.close(self._pidfd)
            self._pidfd = -1
            self._watchdog.remove(self._pid)
        if self._directory:
            remove_directory(self._directory)
