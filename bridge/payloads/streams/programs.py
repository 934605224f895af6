"""All programs that channels of the session have started: how many there may be, and how they end."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Services
from .exits import NOT_REAPED, Exit

_SLOW_SECONDS: Final = 10.0  # how long after SIGTERM one that stays is told of


class Programs:
    """One for a session (Services.once)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limit = services.context.limits.programs
        self.running = 0  # that were not reaped yet

    def check_room(self) -> None:
        """Raises Problem (`internal-error`) where there are as many as may be."""
        if self.running >= self._limit:
            self._services.context.log.limit("programs", self._limit)
            raise Problem(INTERNAL_ERROR, f"{self._limit} programs run already (programs)")

    def started(self, pid: int) -> None:
        """It runs; should the bridge be killed, its group gets SIGTERM from the watchdog."""
        self.running += 1
        self._services.context.watchdog.add(pid, signal.SIGTERM)

    def reap(self, pid: int) -> None:
        """Take the status of one that has ended: its number may be another's from now on."""
        self._services.context.watchdog.remove(pid)
        with suppress(ChildProcessError):  # somebody else has taken it
            os.waitpid(pid, 0)
        self.running -= 1

    def stop(self, pid: int, *, ended: bool) -> None:
        """Its channel is closed: have the program, and all of its process group, end. Nobody waits for that but the
        end of the session, for its time. `ended`: the program itself has; others of its group may not."""
        signal_group(pid, signal.SIGTERM)
        signal_group(pid, signal.SIGCONT)
        if ended:
            self.reap(pid)
        else:
            _Dying(self, self._services, pid)


class _Dying:
    """One program that was told to end, until it has."""

    __slots__ = ("_context", "_exit", "_over", "_pid", "_programs", "_timers")

    def __init__(self, programs: Programs, services: Services, pid: int) -> None:
        self._programs = programs
        self._context = services.context
        self._pid = pid
        self._over = asyncio.Event()
        loop, seconds = self._context.loop, self._context.limits.spawn_kill_seconds
        self._timers = [loop.call_later(_SLOW_SECONDS, self._tell)]
        if seconds:
            self._timers.append(loop.call_later(seconds, self._kill))
        self._exit = Exit(self._context, pid, self._ended)
        services.outlast(self._over)

    def _tell(self) -> None:
        self._context.log.warning("program-stays", pid=self._pid, seconds=_SLOW_SECONDS)

    def _kill(self) -> None:
        self._context.log.limit("spawn_kill_seconds", self._context.limits.spawn_kill_seconds, pid=self._pid)
        signal_group(self._pid, signal.SIGKILL)

    def _ended(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._programs.reap(self._pid)
        self._over.set()


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a program that was not reaped, and to all in its process group."""
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; or all that is runs as another user
        os.killpg(pid, number)


def how_it_ended(pid: int) -> dict[str, int | str]:
    """`exit-status`, or `exit-signal` without SIG, of one that has ended and was not reaped."""
    try:
        found = os.waitid(os.P_PID, pid, NOT_REAPED | os.WNOHANG)
    except ChildProcessError:  # somebody else has taken its status
        found = None
    if found is None:
        return {}
    if found.si_code == os.CLD_EXITED:
        return {"exit-status": found.si_status}
    return {"exit-signal": _name(found.si_status)}


def _name(number: int) -> str:
    if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
        past = number - signal.SIGRTMIN
        return f"RTMIN+{past}" if past else "RTMIN"
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
