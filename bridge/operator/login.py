"""`spanbridge login`: whether those who log in on this machine get spanbridge (docs/install.md, "The login").

cockpit-session runs the first `cockpit-bridge` of directories of its own, whatever the user's PATH is. A link in the
second of them, where no package installs anything, is all that it takes, and all there is to take back.
"""

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

DIRECTORIES: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where cockpit-session looks, in this order; 287 and 337 have the same."""

LINK: Final = "/usr/local/bin/cockpit-bridge"

_NAME: Final = "cockpit-bridge"
_OURS: Final = "spanbridge"

_DESCRIPTION: Final = """\
Whether those who log in on this machine's front end get spanbridge: on makes the link /usr/local/bin/cockpit-bridge,
off takes it away, status tells what a login gets. What is there and not ours is left alone. Sessions that run go on.
"""


class Refused(Exception):
    """Nothing was changed; the text says why."""


def main(arguments: list[str]) -> int:
    """0: done, or logins get spanbridge; 1: `status`, and they get something else; 2: it could not be done."""
    parser = argparse.ArgumentParser(
        prog="spanbridge login",
        description=_DESCRIPTION,
        epilog="Exit status: 0 done, or spanbridge; 1 another bridge, or none; 2 it could not be done.",
    )
    parser.add_argument("what", choices=("on", "off", "status"), metavar="on|off|status")
    given = parser.parse_args(arguments)
    try:
        if given.what == "on":
            turn_on(Path(LINK), command())
        elif given.what == "off":
            turn_off(Path(LINK))
    except OSError as error:
        where = LINK if error.filename2 else error.filename  # not the name that it has while it is made
        who = "; it is root who may do this" if isinstance(error, PermissionError) and os.geteuid() != 0 else ""
        print(f"spanbridge login: {where}: {error.strerror}{who}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"spanbridge login: {error}", file=sys.stderr)
        return 2
    ours, told = status(DIRECTORIES)
    print(told)
    return 0 if ours or given.what == "off" else 1


def command() -> Path:
    """The `spanbridge` command that runs, by the name that lasts: not that of a link of ours."""
    started = Path(os.path.abspath(sys.argv[0]))
    if started.name == _OURS and started.is_file():
        return started
    beside = Path(os.path.realpath(started)).with_name(_OURS)
    return beside if beside.is_file() else Path(sys.executable).with_name(_OURS)


def turn_on(link: Path, target: Path) -> None:
    """Have the link lead to target. Raises Refused, and OSError."""
    _check_is_for_all(target)
    if os.path.lexists(link) and not _is_ours(link):
        raise Refused(f"{link} is not ours, and is left as it is")
    link.parent.mkdir(exist_ok=True)
    new = link.with_name(f".{link.name}.{os.getpid()}")
    os.symlink(target, new)
    try:
        os.replace(new, link)
    except OSError:
        os.unlink(new)
        raise


def turn_off(link: Path) -> None:
    """Take the link away, if there is one. Raises Refused, and OSError."""
    if not os.path.lexists(link):
        return
    if not _is_ours(link):
        raise Refused(f"{link} is not ours, and is left as it is")
    os.unlink(link)


def status(directories: Sequence[str]) -> tuple[bool, str]:
    """Whether a login gets spanbridge, and a line that says what it gets."""
    for directory in directories:
        found = Path(directory, _NAME)
        if found.is_file() and os.access(found, os.X_OK):
            ours = _is_ours(found)
            leads = f" -> {os.readlink(found)}" if found.is_symlink() else ""
            return ours, f"logins get {_OURS if ours else 'another bridge'}: {found}{leads}"
    return False, f"logins get no bridge: no {_NAME} in {':'.join(directories)}"


def _is_ours(link: Path) -> bool:
    """Also where it leads nowhere any more."""
    return link.is_symlink() and os.path.basename(os.readlink(link)) == _OURS


def _check_is_for_all(target: Path) -> None:
    """Everybody who logs in runs it, root too: all must reach it, and nobody but root change it."""
    real = Path(os.path.realpath(target))
    for path in (target, *target.parents, real, *real.parents):
        about = path.stat()
        if about.st_uid != 0:
            raise Refused(
                f"{path} belongs to uid {about.st_uid}, and root logs in with it too; install it for all users"
            )
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not about.st_mode & stat.S_ISVTX:
            raise Refused(f"{path} may be written by others than root, who logs in with it too")
        if not about.st_mode & stat.S_IXOTH:
            raise Refused(f"{path} is not for all users; install it where they may go")
