"""Lines for people on stderr, which may be closed, or full: that changes nothing else."""

import contextlib
import io
import os
import sys

from .terminal import Paint


def complain(line: str) -> None:
    """Write a line to stderr, as far as it takes it."""
    data = f"{line}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(2, data) :]


def painted() -> Paint:
    """The colours of stderr."""
    return Paint(sys.stderr or io.StringIO())
