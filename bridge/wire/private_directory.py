"""A place for sockets and files that only the session's user may enter.

As tempfile and shutil have it, which would be another MiB in memory for the three calls.
"""

import contextlib
import os
from collections.abc import Mapping
from typing import Final

_LONGEST: Final = 107  # bytes of a socket's path (unix(7))
_NAMES: Final = 40  # bytes of what comes behind the parent directory


def private_directory(environ: Mapping[str, str], prefix: str) -> str:
    """Make a new directory with mode 0700 below XDG_RUNTIME_DIR, or in the temporary directory if that cannot be used
    or is too long for a socket's path. Raises OSError."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if not (os.access(runtime, os.W_OK | os.X_OK) and len(os.fsencode(runtime)) + _NAMES <= _LONGEST):
        import tempfile

        path = tempfile.mkdtemp(prefix=prefix)
    else:
        path = os.path.join(os.path.abspath(runtime), prefix + _any_name())
        os.mkdir(path, 0o700)
    os.chmod(path, 0o700)  # a umask may have taken it from ourselves
    return path


def remove_directory(path: str) -> None:
    """Remove a directory of ours with the files in it, as far as that can be. A program that ends at this moment may
    be removing one of them itself, as ssh-agent does with its socket."""
    with contextlib.suppress(OSError):
        for name in os.listdir(path):
            remove_file(os.path.join(path, name))
        os.rmdir(path)


def remove_file(path: str) -> None:
    """Remove a file of ours. Somebody may have cleared the place, as is done at the end of a user's last login."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def private_file(directory: str, prefix: str) -> tuple[int, str]:
    """Make a new file with mode 0600: its descriptor, open for both, and its path. Raises OSError."""
    path = os.path.join(directory, prefix + _any_name())
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)  # as above
    return fd, path


def _any_name() -> str:
    """Nobody guesses it, and no two are the same."""
    return os.urandom(8).hex()
