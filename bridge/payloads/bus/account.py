"""The user that the bridge runs as."""

import grp
import os
import pwd
from collections.abc import Mapping

import msgspec

from ..base import Services
from .values import as_utf8


class Account(msgspec.Struct, frozen=True):
    """Of the user database; where it does not know the user, of the environment."""

    name: str
    full_name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...]
    """Names, the primary group first; the number of one without a name."""


def account(services: Services) -> Account:
    """Looked up once a session (Services.once): a user database may be far away."""
    return read_account(services.environ, os.getuid())


def read_account(environ: Mapping[str, str], uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        name, gid = environ.get("USER") or str(uid), os.getgid()
        full_name, home, shell = name, environ.get("HOME") or "/", environ.get("SHELL") or "/bin/sh"
        gids = [gid, *os.getgroups()]
    else:
        name, full_name = entry.pw_name, entry.pw_gecos.partition(",")[0]
        gid, home, shell = entry.pw_gid, entry.pw_dir, entry.pw_shell
        gids = [gid, *os.getgrouplist(name, gid)]
    return Account(
        name=as_utf8(name),
        full_name=as_utf8(full_name),
        uid=uid,
        gid=gid,
        home=as_utf8(home),
        shell=as_utf8(shell),
        groups=tuple(as_utf8(_name(each)) for each in dict.fromkeys(gids)),
    )


def _name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
