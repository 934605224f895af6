"""Where the host listens, where extensions are found, and where their data is kept. Light: the relay imports it."""

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

SOCKET: Final = "extensions.sock"
LOCK: Final = "extensions.lock"
START_LOCK: Final = "extensions.start"
_DIRECTORY: Final = 0o700


class PlaceError(Exception):
    """A directory that is not what it must be; the text says which, and why."""


class Places(NamedTuple):
    """The directories of one user, all absolute."""

    run: str
    """Socket and locks."""
    state: str
    """Databases and files: a directory for each extension, and `host.log`, `audit.db` and the like beside them."""
    data: tuple[str, ...]
    """Where extensions are looked for; the first that has a name wins."""
    alone: tuple[str, ...] = ()
    """Directories that are extensions themselves, and win over all others."""


def places_of(environ: Mapping[str, str]) -> Places:
    """The directories that this environment names (XDG base directories)."""
    home = environ.get("HOME", "")
    home = home if os.path.isabs(home) else "/"
    state = os.path.join(_absolute(environ, "XDG_STATE_HOME", f"{home}/.local/state"), "spanbridge/extensions")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    run = os.path.join(runtime, "spanbridge") if _is_ours(runtime) else os.path.join(state, "run")
    data = [_absolute(environ, "XDG_DATA_HOME", f"{home}/.local/share")]
    listed = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    data += [part for part in listed.split(":") if os.path.isabs(part)]
    return Places(run, state, tuple([os.path.join(part, "spanbridge/extensions") for part in data]))


def _is_ours(runtime: str) -> bool:
    """A bridge with privileges may have been handed down the variable of the user who asked for it."""
    try:
        return os.path.isabs(runtime) and os.stat(runtime).st_uid == os.geteuid()
    except OSError:
        return False


def _absolute(environ: Mapping[str, str], name: str, default: str) -> str:
    value = environ.get(name, "")
    return value if os.path.isabs(value) else default


def open_private(path: str) -> int:
    """A descriptor for what is in the directory, which is made if it is missing, ours alone, and ours to use whatever
    the umask is. Raises PlaceError."""
    try:
        _make(path)
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise PlaceError(f"{path}: {error.strerror}") from None
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        os.close(fd)
        raise PlaceError(f"{path}: it belongs to the user {found.st_uid}, expected {os.geteuid()}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 or mode & _DIRECTORY != _DIRECTORY:
        try:
            os.chmod(f"/proc/self/fd/{fd}", _DIRECTORY)
        except OSError as error:
            os.close(fd)
            raise PlaceError(f"{path}: {error.strerror}") from None
    return fd


def _make(path: str) -> None:
    """The directory, and those above it that are missing, for us alone. Raises OSError."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another has made it: it is seen as it is opened
            os.mkdir(each, _DIRECTORY)
            if os.stat(each).st_mode & _DIRECTORY != _DIRECTORY:
                os.chmod(each, _DIRECTORY)


def in_directory(fd: int, name: str) -> str:
    """A path for a file of the directory, short enough for a socket wherever that lies."""
    return f"/proc/self/fd/{fd}/{name}"


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end."""
    return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
