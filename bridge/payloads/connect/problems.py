"""From what the system says of a connection that was not made to a problem code."""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from spanbridge.protocol.problems import ACCESS_DENIED, INTERNAL_ERROR, NO_HOST, NOT_FOUND, TIMEOUT, Problem

from .target import Target

CODES: Final[Mapping[int, str]] = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.ENAMETOOLONG: NOT_FOUND,
    errno.ECONNREFUSED: NOT_FOUND,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
    errno.ETIMEDOUT: TIMEOUT,
    errno.EHOSTUNREACH: NO_HOST,
    errno.ENETUNREACH: NO_HOST,
}
"""All others are INTERNAL_ERROR."""

_TELLING: Final = (ACCESS_DENIED, NOT_FOUND, TIMEOUT, NO_HOST, INTERNAL_ERROR)
"""Of the failures of several addresses, the first of these tells most: somebody has answered."""

_OURS: Final = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})
"""Errors of a look-up that say nothing about the name."""


def code_of(error: OSError) -> str:
    """The problem code for a connection that failed so."""
    if isinstance(error, socket.gaierror):
        return INTERNAL_ERROR if error.errno in _OURS else NOT_FOUND
    return CODES.get(error.errno or 0, INTERNAL_ERROR)


def words_of(error: OSError) -> str:
    """What the system calls it."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


def not_connected(target: Target, failures: Sequence[tuple[str, OSError]]) -> Problem:
    """The problem of a target none of whose addresses (as text) could be connected to."""
    code = min((code_of(error) for _, error in failures), key=_TELLING.index)
    told: dict[str, list[str]] = {}  # words -> addresses
    for address, error in failures:
        told.setdefault(words_of(error), []).append(address)
    if len(told) == 1:
        return Problem(code, f"{target}: {next(iter(told))}")
    each = "; ".join(f"{', '.join(where)}: {words}" for words, where in told.items())
    return Problem(code, f"{target}: {each}")
