"""A place for sockets that only the session's user may enter."""

import os
from collections.abc import Mapping
from typing import Final

_LONGEST: Final = 107  # bytes of a socket's path (unix(7))
_NAMES: Final = 40  # bytes of what comes behind the parent directory


def private_directory(environ: Mapping[str, str], prefix: str) -> str:
    """Make a new directory with mode 0700 below XDG_RUNTIME_DIR, or in the temporary directory if that cannot be used
    or is too long for a socket's path. Raises OSError."""
    import tempfile

    runtime = environ.get("XDG_RUNTIME_DIR", "")
    usable = os.access(runtime, os.W_OK | os.X_OK) and len(os.fsencode(runtime)) + _NAMES <= _LONGEST
    return tempfile.mkdtemp(prefix=prefix, dir=runtime if usable else None)
