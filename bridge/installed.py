"""What is installed here, for the daemon and the tools alike: this program, and what belongs to it."""

import os
import sys
from collections.abc import Mapping
from typing import Final

VERSION: Final = "0.1.0"
PROTOCOL: Final = 1
GENERATION: Final = "366"  # the protocol generation that `requires` of a manifest is compared with

_DEPTH_DIGITS: Final = 9  # more than any limit has, and less than Python refuses to convert
_ASKPASS: Final = "spanbridge-askpass"
sent_askpass = ""
"""Where it is if nothing is installed: this program was sent here, and is in memory alone (hosts/far_loader.py)."""


def own_command() -> list[str]:
    """What starts a bridge like this program."""
    started = _started()
    if os.access(started, os.X_OK) and not started.endswith(".py"):
        return [started]
    return [sys.executable, "-I", "-m", "spanbridge"]


def askpass() -> str:
    """Our askpass program, which was installed beside the `spanbridge` command.

    That may have been started through a link elsewhere, or as `python -m spanbridge`: then it is looked for beside what
    the link leads to, and beside the Python that runs.
    """
    if sent_askpass:
        return sent_askpass
    started = _started()
    beside = [os.path.join(os.path.dirname(path), _ASKPASS) for path in (started, os.path.realpath(started))]
    beside.append(os.path.join(os.path.dirname(sys.executable), _ASKPASS))
    found = (path for path in beside if os.access(path, os.X_OK))
    return next(found, None) or _installed_elsewhere() or beside[0]


def _started() -> str:
    """The command that runs. Given by a path from a directory that is gone, it is taken to lie beside Python."""
    try:
        return os.path.abspath(sys.argv[0])
    except OSError:
        return os.path.join(os.path.dirname(sys.executable), os.path.basename(sys.argv[0]))


def _installed_elsewhere() -> str | None:
    """Where the installer has put it, by its own record. Slow: the last resort."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        recorded = files("spanbridge") or []
    except PackageNotFoundError:
        return None
    paths = (os.path.realpath(str(file.locate())) for file in recorded if file.name == _ASKPASS)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def depth_of(environ: Mapping[str, str]) -> int:
    """How many bridges have started one another up to the one with this environment, without it."""
    text = environ.get("SPANBRIDGE_DEPTH", "0")
    return int(text[:_DEPTH_DIGITS]) if text.isascii() and text.isdigit() else 0
