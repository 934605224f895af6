"""The process from which those of extensions are forked: it has loaded what all of them need.

It has one thread. It alone is their parent: it starts, kills and reaps them, so no number of a process is ever used
that may be somebody else's by now. It ends with the host, and they with it.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import sys
import traceback
from typing import Final

import msgspec

from ..runner import main as runner
from ..runner.own_loop import OwnLoop
from ..runner.task import CALLS_FD, MAIN_FD, Exited, FromHost, Start, Started, Task, ToHost
from ..sandbox.restrict import Doorway, prepare, restrict

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)  # here once: in each process it would be memory of its own
_MESSAGE_BYTES: Final = 64 << 10
_NODE: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "node")
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "USER", "LOGNAME")


def main() -> int:
    """Serve the host, which is at the other end of descriptor 3."""
    host = socket.socket(fileno=3)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _forget_environment()
    prepare()
    server = ForkServer(host)
    gc.collect()
    gc.freeze()
    server.run()
    return 0


def _forget_environment() -> None:
    """Before anything is forked: whatever is done there is done in memory that all have in common."""
    for name in [*os.environ]:
        if name not in _ENVIRONMENT:
            del os.environ[name]


class ForkServer:
    """Its loop, and its children by the descriptors that stand for them."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host
        self._poll = select.poll()
        self._children: dict[int, int] = {}  # pidfd -> pid
        self._own_loop = OwnLoop()
        self._decode = msgspec.msgpack.Decoder(FromHost).decode

    def run(self) -> None:
        self._poll.register(self._host, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._host.fileno():
                    self._reap(fd)
                elif not self._heed():
                    self._end()
                    return

    def _heed(self) -> bool:
        """One message of the host; False at its end."""
        data, fds, _, _ = socket.recv_fds(self._host, _MESSAGE_BYTES, 3)
        if not data:
            return False
        message = self._decode(data)
        if isinstance(message, Start):
            self._start(message, fds)
        elif message.pid in self._children.values():
            _kill_group(message.pid)
        return True

    def _start(self, start: Start, fds: list[int]) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(Started(start.token, 0, str(error.strerror)))
            pid = -1
        if pid == 0:
            status = 1
            try:
                self._forget_all(fds)
                _become(start.task, parent, fds)
                status = runner.run(start.task, self._own_loop)
            except BaseException:  # noqa: BLE001 - this must never go back into the server's loop
                traceback.print_exc()
            finally:
                runner.leave(status)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            with contextlib.suppress(OSError):  # the child has done so, or will
                os.setpgid(pid, pid)
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = pid
            self._poll.register(pidfd, select.POLLIN)
            self._tell(Started(start.token, pid))

    def _forget_all(self, keep: list[int]) -> None:
        for fd in (self._host.fileno(), *self._children):
            if fd not in keep:
                os.close(fd)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _kill_group(pid)  # before its number is free
        _, status = os.waitpid(pid, 0)
        self._tell(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, message: ToHost) -> None:
        with contextlib.suppress(OSError):  # the host has ended: the next poll says so
            self._host.send(msgspec.msgpack.encode(message))

    def _end(self) -> None:
        for pid in self._children.values():
            _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _become(task: Task, parent: int, fds: list[int]) -> None:
    """In the child: a group of its own, the descriptors in their places, a clean environment. Node takes over here."""
    os.setpgid(0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main, calls, output = [_above(fd) for fd in fds]
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(main, MAIN_FD)
    os.dup2(calls, CALLS_FD)
    os.closerange(CALLS_FD + 1, 4096)
    os.environ["TMPDIR"] = task.cage.files
    os.chdir(task.cage.directory)
    os.umask(0o077)
    if task.language == "javascript":
        _become_node(task)


def _above(fd: int) -> int:
    """The same file at a number that nothing else wants."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD, 64)


def _become_node(task: Task) -> None:
    doorway = Doorway(task.cage.program)
    megabytes = max(task.cage.memory_bytes >> 20, 16)
    told = msgspec.json.encode(
        {
            "main": task.main,
            "name": task.name,
            "version": task.version,
            "files": task.cage.files,
            "messageBytes": task.message_bytes,
        }
    ).decode()
    program = os.path.join(_NODE, "runner.js")
    arguments = [*task.command, f"--max-old-space-size={megabytes}", program, told]
    restrict(task.cage, doorway)
    doorway.go_through(arguments, dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())
