"""The helper of one session: hands its stdin, stdout and stderr to the user's host, and waits for the end.

The host then speaks with the bridge itself: a byte makes no detour. If nobody listens, a host is started, and a lock
decides who does it.
"""

import contextlib
import fcntl
import os
import socket
import sys
from typing import Final

from ..files import open_own
from ..places import SOCKET, START_LOCK, PlaceError, Places, in_directory, open_private, peer_uid, places_of

_TRIES: Final = 5
_WELCOME: Final = b"w"
_OVER: Final = b"e"


class Unreachable(Exception):
    """There is no host, and none can be started; the text says why."""


def main() -> int:
    """0: the session has ended. 1: the host has, or there was none."""
    if os.isatty(0):
        sys.stderr.write("this is a helper: it speaks with the bridge that starts it\n")
        return 2
    try:
        places = places_of(os.environ)
        connection = handed_over(places, [0, 1, 2])
    except (Unreachable, PlaceError, OSError) as error:
        return _refuse(str(error))
    # From here on stdin and stdout are the host's alone.
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    try:
        return 0 if connection.recv(1) == _OVER else 1
    except OSError:
        return 1


def _refuse(message: str) -> int:
    from spanbridge.protocol.control import VERSION, control
    from spanbridge.protocol.problems import INTERNAL_ERROR

    with contextlib.suppress(OSError):  # nobody is there to be told
        os.write(1, control("init", version=VERSION, problem=INTERNAL_ERROR, message=f"extensions: {message}"))
    return 1


def handed_over(places: Places, fds: list[int]) -> socket.socket:
    """A connection to a host that has taken these descriptors. One is started if there is none.

    Raises Unreachable, PlaceError.
    """
    directory = open_private(places.run)
    try:
        for _ in range(_TRIES):
            connection = _reach(directory)
            try:
                socket.send_fds(connection, [b"r"], fds)
                if connection.recv(1) == _WELCOME:
                    return connection
            except OSError:
                pass
            connection.close()  # it was about to end
    finally:
        os.close(directory)
    raise Unreachable("the host ends again and again, see host.log")


def _reach(directory: int) -> socket.socket:
    """A connection to the host of this user, which is started if there is none. Raises Unreachable."""
    connection = _connected(directory)
    if connection is not None:
        return connection
    lock = open_own(in_directory(directory, START_LOCK), os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = _connected(directory)
        if connection is None:
            _start()
            connection = _connected(directory)
    finally:
        os.close(lock)
    if connection is None:
        raise Unreachable("the host does not listen, see host.log")
    return connection


def _connected(directory: int) -> socket.socket | None:
    """A connection to a host that listens; None: nobody does. Raises Unreachable for somebody else."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(in_directory(directory, SOCKET))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    uid = peer_uid(sock)
    if uid != os.geteuid():
        sock.close()
        raise Unreachable(f"the host belongs to the user {uid}, expected {os.geteuid()}")
    return sock


def _start() -> None:
    """Start a host, detached, and wait until it listens. Raises Unreachable."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-m", "spanbridge.extensions.host.host", "--ready-fd", "3"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs, 3),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
            setsigmask=[],
        )
    except OSError as error:
        raise Unreachable(f"the host cannot be started: {error.strerror}") from None
    finally:
        os.close(theirs)
    with open(ours, "rb") as told:
        why = told.read()
    if why != b"ready":
        raise Unreachable(f"the host cannot be started: {why.decode(errors='replace') or 'see host.log'}")


if __name__ == "__main__":
    sys.exit(main())
