"""From what an open asks for to a running process: which program, where, with what."""

import errno
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from spanbridge.protocol.problems import ACCESS_DENIED, INTERNAL_ERROR, NOT_FOUND, Problem

from ...wire.descriptor_limit import give_back
from .environment import candidates

_SHELL: Final = b"/bin/sh"
_CODES: Final[Mapping[int, str]] = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.EISDIR: ACCESS_DENIED,
}
"""All others are INTERNAL_ERROR."""


class Command(msgspec.Struct, frozen=True):
    """A program that is to be started, for the system: bytes."""

    argv: list[bytes]
    environ: dict[bytes, bytes]
    directory: bytes | None

    @property
    def name(self) -> str:
        """The program, for messages and the log."""
        return self.argv[0].decode("utf-8", "replace") or '""'


class Running(msgspec.Struct, frozen=True):
    """A program that was started, and our ends, non-blocking. `stderr` is -1 where it goes elsewhere; `terminal`:
    stdin and stdout are our side of its terminal."""

    pid: int
    stdin: int
    stdout: int
    stderr: int = -1
    terminal: bool = False


def start_on_pipes(command: Command, err: str | None) -> Running:
    """Start it in a session of its own. `err`: where stderr goes, as the open says. Raises Problem."""
    opened: list[int] = []
    try:
        child_in, ours_in = _pipe(opened)
        ours_out, child_out = _pipe(opened)
        ours_err, child_err = (-1, child_out) if err == "out" else (-1, -1)
        if err == "ignore":
            child_err = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            opened.append(child_err)
        elif err != "out":
            ours_err, child_err = _pipe(opened)

        def start(argv: list[bytes]) -> int:
            # Without a function to run in the child this is vfork: nothing of ours is copied, no handler can run there.
            process = subprocess.Popen(
                argv,
                stdin=child_in,
                stdout=child_out,
                stderr=child_err,
                env=command.environ,
                cwd=command.directory,
                start_new_session=True,
            )
            process.returncode = 0  # it is reaped by us, not when the object goes
            return process.pid

        pid = starting(command, start)
    except OSError as error:
        close_all(opened)
        raise Problem(INTERNAL_ERROR, f"{command.name}: {error.strerror}") from None
    except BaseException:
        close_all(opened)
        raise
    ours = [ours_in, ours_out, *([ours_err] if ours_err >= 0 else [])]
    close_all([fd for fd in opened if fd not in ours])
    for fd in ours:
        os.set_blocking(fd, False)
    return Running(pid=pid, stdin=ours_in, stdout=ours_out, stderr=ours_err)


def starting(command: Command, start: Callable[[list[bytes]], int]) -> int:
    """The pid that `start(argv)` gives; what is no program is given to the shell, as execvp does. Raises Problem."""
    try:
        if not command.argv[0]:  # looked for along PATH, it would be each of its directories
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            pid = start(command.argv)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            pid = start([_SHELL, found(command), *command.argv[1:]])
    except OSError as error:
        raise not_started(command, error) from None
    except subprocess.SubprocessError as error:
        raise Problem(INTERNAL_ERROR, f"{command.name}: {error}") from None
    give_back(pid)
    return pid


def found(command: Command) -> bytes:
    """Where the program is, as seen from the directory that it starts in; its name if it is nowhere."""
    for path in candidates(command.argv[0], command.environ):
        there = os.path.join(command.directory or b"", path)
        if os.access(there, os.X_OK) and os.path.isfile(there):
            return path
    return command.argv[0]


def not_started(command: Command, error: OSError) -> Problem:
    what = command.name
    if command.directory is not None and _unusable(command.directory):
        what = command.directory.decode("utf-8", "replace") or '""'
    return Problem(_CODES.get(error.errno or 0, INTERNAL_ERROR), f"{what}: {error.strerror}")


def _unusable(directory: bytes) -> bool:
    return not os.path.isdir(directory) or not os.access(directory, os.X_OK)


def _pipe(opened: list[int]) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    opened += ends
    return ends


def close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)
