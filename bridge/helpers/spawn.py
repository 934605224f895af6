"""Starting a child as if from a clean shell.

Between fork and exec the child has our signal handlers and the descriptor that they wake the event loop by: a signal
for it would be taken for one to us. So all signals are blocked across the fork; the child puts the handlers back first,
and lets what has come meanwhile act on itself. It starts with no signal blocked or ignored, whatever we were started
with.
"""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from ..wire.find_program import find_program

_PR_SET_PDEATHSIG: Final = 1
_SHELL: Final = "/bin/sh"


def spawn(
    argv: Sequence[str], environ: Mapping[str, str], directory: str | None, stdin: int, stdout: int, stderr: int
) -> "subprocess.Popen[bytes]":
    """Start `argv` in a session of its own; it gets SIGKILL when we die. Raises OSError, ValueError, SubprocessError.

    It is found through the PATH of `environ` if it has no slash. A file that the kernel takes for no program is run by
    /bin/sh, as execvp(3) does.
    """
    try:
        return _start(argv, environ, directory, stdin, stdout, stderr)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        script = find_program(argv[0], environ, directory)
        if script is None:
            raise
        # An option it is not, nor a name that a shell looks for in PATH itself.
        script = script if "/" in script else f"./{script}"
        return _start([_SHELL, script, *argv[1:]], environ, directory, stdin, stdout, stderr)


def spawn_at_once(argv: Sequence[str], environ: Mapping[str, str], stdin: int, stdout: int, stderr: int) -> "Forked":
    """The same, but not waited for until the program runs: on a busy machine that takes tens of milliseconds, in which
    nobody else is served. If it cannot be run, the child says so on its stderr and is ended by SIGKILL.

    Until then it is in our process group. Raises OSError where there is no such program.
    """
    program = find_program(argv[0], environ)
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    prepare = _Child(os.getpid())
    arguments = [utf8(argument) for argument in argv]
    environment = {utf8(name): utf8(value) for name, value in environ.items()}
    ours = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, arguments, environment, prepare, (stdin, stdout, stderr))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, ours)
    return Forked(pid)


class Forked:
    """A child, as far as subprocess.Popen is asked for it."""

    __slots__ = ("pid",)

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Reap it."""
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # somebody else has
            return 0


def _become(
    program: str, argv: list[bytes], environ: dict[bytes, bytes], prepare: "_Child", fds: tuple[int, int, int]
) -> NoReturn:
    """Runs in the child."""
    try:
        os.setsid()
        above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in fds]  # one of them may be 0, 1 or 2 itself
        for number, fd in enumerate(above):
            os.dup2(fd, number)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                with contextlib.suppress(OSError):
                    os.set_inheritable(int(name), False)
        prepare()
        try:
            os.execve(program, argv, environ)  # noqa: S606
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve(_SHELL, [_SHELL.encode(), os.fsencode(program), *argv[1:]], environ)  # noqa: S606
            raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, the child is not to go on as a second bridge
        os.write(2, f"cannot run {program}: {error}\n".encode(errors="replace"))
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed, and still here")


def _start(
    argv: Sequence[str], environ: Mapping[str, str], directory: str | None, stdin: int, stdout: int, stderr: int
) -> "subprocess.Popen[bytes]":
    ours = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return subprocess.Popen(
            [utf8(argument) for argument in argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={utf8(name): utf8(value) for name, value in environ.items()},
            cwd=None if directory is None else utf8(directory),
            start_new_session=True,
            preexec_fn=_Child(os.getpid()),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, ours)


def utf8(text: str) -> bytes:
    """As UTF-8 whatever the locale; what came as bytes that are no text becomes these bytes again."""
    return text.encode("utf-8", "surrogateescape")


class _Child:
    """Runs in the child between fork and exec. Written to do next to nothing there."""

    __slots__ = ("_handled", "_parent", "_prctl")

    def __init__(self, parent: int) -> None:
        import ctypes  # a bridge that never starts a helper is the smaller for it

        self._parent = parent
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._handled = [
            number
            for number in signal.valid_signals()
            if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) not in (signal.SIG_DFL, None)
        ]

    def __call__(self) -> None:
        self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._parent:  # it died before the kernel was told
            os._exit(127)
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
