"""Small files of the host's and of others: made for the user alone, read if they are not too large."""

import os
from typing import Final

_FILE: Final = 0o600


def open_own(path: str, flags: int) -> int:
    """The file, made if it is missing, ours alone, and ours to use whatever the umask is. Raises OSError."""
    fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, _FILE)
    try:
        if os.fstat(fd).st_mode & _FILE != _FILE:
            os.fchmod(fd, _FILE)
    except OSError:
        os.close(fd)
        raise
    return fd


def too_large(file: str, most: int) -> str:
    """Why it is not read: it has over `most` bytes, which no setting changes. Empty: it has not, or cannot be looked
    at, which reading tells."""
    try:
        size = os.stat(file).st_size
    except OSError:
        return ""
    return f"{file}: found {size} bytes, expected at most {most}" if size > most else ""
