"""One child process: from spawn to reap.

Its stdin, stdout and stderr are pipes; or stdin and stdout are one end of a socket pair, over which descriptors can be
passed. It leads a session of its own, hence a process group that takes in whatever it
starts, and it gets SIGKILL from the kernel when the bridge dies without having stopped it. So does its group, from the
watchdog.
"""

import asyncio
import errno
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import anyio
import anyio.to_thread

from ..wire.children import Children, open_pidfd
from ..wire.descriptor_limit import give_back
from ..wire.watchdog import Watchdog
from .spawn import spawn, spawn_at_once, utf8
from .startable import look_up

_LOOK_SECONDS: Final = 0.05  # between two looks at a process of which the kernel does not tell


class SpawnError(Exception):
    """The command could not be started; the text says what and why."""


class Running(Protocol):
    """Whatever runs a helper: a child of ours, or somebody else's (unit.py). The descriptors belong to the caller."""

    stdin: int
    stdout: int
    stderr: int
    pid: int
    exited: asyncio.Event
    on_begun: Callable[[], object]

    @property
    def begun(self) -> bool:
        """Whether it runs, or has; where it did not from the first, `on_begun` is called once it does."""

    @property
    def status(self) -> int: ...
    @property
    def end(self) -> str: ...
    def signal_group(self, number: int) -> bool: ...
    async def stop(self, seconds: float) -> bool: ...
    async def kill(self, seconds: float) -> bool: ...
    async def end_group(self, seconds: float) -> None: ...
    def abandon(self) -> None: ...


class Child(Protocol):
    """What subprocess.Popen is used for here."""

    pid: int

    def kill(self) -> None: ...
    def wait(self) -> int: ...


class Process:
    """A running child. `exited` is set, and `on_exit` called, when it has ended; `reap` must follow.

    The descriptors `stdin`, `stdout`, `stderr` are non-blocking and belong to the caller.
    """

    __slots__ = (
        "_children",
        "_on_exit",
        "_popen",
        "_watchdog",
        "exited",
        "on_begun",
        "pid",
        "stderr",
        "stdin",
        "stdout",
    )

    begun = True

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        directory: str | None,
        on_exit: Callable[[], None],
        *,
        paired: bool = False,
        at_once: bool = False,
        watchdog: Watchdog,
        children: Children,
    ) -> None:
        """Start `argv`, found through the PATH of `environ` if it has no slash. Raises SpawnError.

        `paired`: stdin and stdout are a socket pair. `at_once`: nobody waits until the program runs (spawn_at_once).
        """
        self._watchdog = watchdog
        self._children = children
        self._on_exit = on_exit
        self.on_begun: Callable[[], object] = bool
        self.exited = asyncio.Event()
        fds: list[int] = []
        try:
            if paired:
                fds += socket_pair()
            else:
                fds += os.pipe2(os.O_CLOEXEC)
                fds += os.pipe2(os.O_CLOEXEC)
            fds += os.pipe2(os.O_CLOEXEC)
            child_in, self.stdin, self.stdout, child_out, self.stderr, child_err = fds
            if at_once:
                self._popen: Child = spawn_at_once(argv, environ, child_in, child_out, child_err)
            else:
                self._popen = spawn(argv, environ, directory, child_in, child_out, child_err)
            self.pid = self._popen.pid
            give_back(self.pid)
            self._watch()
            watchdog.add(self.pid)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            for fd in fds:
                os.close(fd)
            raise SpawnError(_why(error, argv, environ, directory)) from None
        for fd in (child_in, child_out, child_err):
            os.close(fd)
        for fd in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(fd, False)

    def _watch(self) -> None:
        try:
            self._children.watch(self.pid, self._ended)
        except OSError:  # no descriptor left for it
            self._popen.kill()
            self._popen.wait()
            raise

    def _ended(self) -> None:
        self.exited.set()
        self._on_exit()

    def signal_group(self, number: int) -> bool:
        """Send a signal to the process and all that it started in its group; False if there is nobody left."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return not self.exited.is_set() and self._signal_alone(number)  # it may have no group of its own yet
        except PermissionError:  # all that is left runs as another user
            return True
        return True

    def _signal_alone(self, number: int) -> bool:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    async def stop(self, seconds: float) -> bool:
        """SIGTERM for the group, and so many seconds for the process to end; whether it has."""
        return await self._end_by(signal.SIGTERM, seconds)

    async def kill(self, seconds: float) -> bool:
        """The same with SIGKILL."""
        return await self._end_by(signal.SIGKILL, seconds)

    async def _end_by(self, number: int, seconds: float) -> bool:
        self.signal_group(number)
        with anyio.move_on_after(seconds):
            await self.exited.wait()
        return self.exited.is_set()

    async def end_group(self, seconds: float) -> None:
        """Reap the process, which has exited, and end those that it left behind in its group: SIGTERM, `seconds`,
        SIGKILL.

        They are not our children: pidfds tell of their end, whoever reaps them. As long as one of them is there, the
        number of the group is nobody else's. Whether one is, is asked for at once; only then, who.
        """
        self._popen.wait()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.signal_group(0):
                break
            members = await _look_for_members(self.pid)
            if members is not None and not members:
                break
            self.signal_group(number)
            with anyio.move_on_after(seconds):
                if members is None:
                    while self.signal_group(0):  # noqa: ASYNC110 - nobody tells of its end
                        await anyio.sleep(_LOOK_SECONDS)
                for pid in members or ():
                    await _gone(pid)
        self._watchdog.remove(self.pid)

    def abandon(self) -> None:
        """Watch it no more, though it has not ended."""
        self._watchdog.remove(self.pid)
        self._children.forget(self.pid)

    @property
    def status(self) -> int:
        """Its exit status, or below 0 the signal that ended it. Does not reap; 0 while it runs."""
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return 0
        if found is None:
            return 0
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    @property
    def end(self) -> str:
        """How it ended, in words. Does not reap: until that is done nobody else can get its number."""
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return "ended, and somebody else has taken its status"
        if found is None:
            return "still running"
        if found.si_code == os.CLD_EXITED:
            return f"exited with status {found.si_status}"
        try:
            return f"killed by {signal.Signals(found.si_status).name}"
        except ValueError:  # a real-time signal
            return f"killed by signal {found.si_status}"


def socket_pair() -> tuple[int, int, int, int]:
    """One end twice around the other end twice: each of the four descriptors has one owner."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child_out = os.dup(theirs.fileno())
        try:
            stdin = os.dup(ours.fileno())
        except OSError:
            os.close(child_out)
            raise
        return theirs.detach(), stdin, ours.detach(), child_out


async def _look_for_members(group: int) -> list[int] | None:
    """As `_members`; None, too, where no thread or no descriptor is left to look."""
    try:
        return await anyio.to_thread.run_sync(_members, group)
    except (OSError, RuntimeError):
        return None


def _members(group: int) -> list[int] | None:
    """The processes of a group that have not ended. None: nobody tells, where /proc is not there, or is that of another
    namespace of processes. Raises OSError where no descriptor is left."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return None
    except OSError:
        return None
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, _, pgrp = file.read().rpartition(b")")[2].split()[:3]
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise
                continue  # gone meanwhile
            if int(pgrp) == group and state not in (b"Z", b"X"):
                found.append(int(name))
    return found


async def _gone(pid: int) -> None:
    try:
        pidfd = open_pidfd(pid)
    except OSError:  # it is, or no descriptor is left to tell by
        return
    if pidfd is None:
        while _exists(pid):  # noqa: ASYNC110 - nothing tells of the end of somebody else's child
            await anyio.sleep(_LOOK_SECONDS)
        return
    try:
        await anyio.wait_readable(pidfd)
    finally:
        os.close(pidfd)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _own_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return os.curdir


def _why(error: Exception, argv: Sequence[str], environ: Mapping[str, str], directory: str | None) -> str:
    if isinstance(error, OSError):
        if directory is not None and error.filename == utf8(directory):
            return f"working directory {directory}: {error.strerror}"
        if error.errno == errno.E2BIG:
            return f"{argv[0]}: arguments and environment are longer than the system allows"
        # The kernel says the same of a file that is not there and of one whose interpreter is not.
        found = look_up(argv, environ, directory, _own_directory())
        return f"{argv[0]}: {error.strerror}" + (f" ({found.detail})" if found.path and found.detail else "")
    return f"{argv[0]}: {error}"
