"""What the system says, as a problem of a channel."""

import errno
import os
from typing import Final

from spanbridge.protocol.problems import ACCESS_DENIED, INTERNAL_ERROR, NOT_FOUND, Problem

from .paths import shown

_CODES: Final = {errno.ENOENT: NOT_FOUND, errno.EACCES: ACCESS_DENIED, errno.EPERM: ACCESS_DENIED}


def code_of(error: OSError) -> str:
    """The problem code of an error of the system."""
    return _CODES.get(error.errno or 0, INTERNAL_ERROR)


def problem_of(error: OSError, path: bytes) -> Problem:
    """The same with path and the system's words."""
    return Problem(code_of(error), f"{shown(path)}: {words_of(error)}")


def words_of(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def denied(path: bytes, why: str) -> Problem:
    """Refused for a reason that is not the system's."""
    return Problem(ACCESS_DENIED, f"{shown(path)}: {why}")
