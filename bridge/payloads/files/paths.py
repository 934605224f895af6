"""Paths: how an open writes them, how the system takes them, how people read them."""

import os
import sys
from typing import Final

from spanbridge.protocol.problems import NOT_FOUND, Problem

from ..served.options import Options

_RECODED: Final = sys.getfilesystemencoding() != "utf-8"


def path_option(options: Options) -> bytes:
    """`path` of an open, for the system; a relative one counts from the bridge's working directory.

    Raises Problem.
    """
    path = options.system("path", expected="a path that is not empty")
    if not path:
        raise options.wrong("path", "a path that is not empty")
    return absolute(system_path(path))


def absolute(path: bytes) -> bytes:
    """`path` from the root, whatever the working directory is by the time that a thread comes to open it."""
    if path.startswith(b"/"):
        return path
    try:
        return os.path.join(os.getcwdb(), path)
    except FileNotFoundError:
        raise Problem(NOT_FOUND, f"{shown(path)}: the working directory of the bridge is gone") from None


def system_path(path: str) -> bytes:
    """As the system takes it: lone surrogates stand for bytes that are not UTF-8."""
    return path.encode("utf-8", "surrogateescape")


def written(path: bytes) -> str:
    """The inverse of `system_path`."""
    return path.decode("utf-8", "surrogateescape")


def shown(path: bytes) -> str:
    """For people."""
    return path.decode("utf-8", "replace")


def listed(name: str) -> str:
    """The name of an entry of a directory, as Python has it in the locale's encoding, as the front end has it."""
    return os.fsencode(name).decode("utf-8", "surrogateescape") if _RECODED else name
