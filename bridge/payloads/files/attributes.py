"""What `fsinfo` tells of one file: attributes by name, those alone that were asked for."""

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

from .paths import system_path, written
from .tag import tag_of

Attributes = dict[str, Any]

KINDS: Final = {
    stat.S_IFREG: "reg",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "lnk",
    stat.S_IFCHR: "chr",
    stat.S_IFBLK: "blk",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "sock",
}

_ALIKE: Final[dict[str, Callable[[os.stat_result], Any]]] = {
    "type": lambda found: KINDS.get(stat.S_IFMT(found.st_mode)),
    "mode": lambda found: stat.S_IMODE(found.st_mode),
    "uid": lambda found: found.st_uid,
    "gid": lambda found: found.st_gid,
}
"""The same for all files of one mode and owner."""

_FOUND: Final[dict[str, Callable[[os.stat_result], Any]]] = {
    "tag": tag_of,
    "size": attrgetter("st_size"),
    "mtime": attrgetter("st_mtime"),
}
_RIGHTS: Final = {"r-ok": os.R_OK, "w-ok": os.W_OK, "x-ok": os.X_OK}

KNOWN: Final = (*_ALIKE, *_FOUND, "user", "group", "target", *_RIGHTS)
"""All attributes of a file."""


class Accounts:
    """Names of users and groups, each looked up once."""

    def __init__(self) -> None:
        self._users: dict[int, str | int] = {}
        self._groups: dict[int, str | int] = {}

    def user(self, uid: int) -> str | int:
        """Its name, or else the number."""
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = uid
        return self._users[uid]

    def group(self, gid: int) -> str | int:
        if gid not in self._groups:
            try:
                self._groups[gid] = grp.getgrgid(gid).gr_name
            except KeyError:
                self._groups[gid] = gid
        return self._groups[gid]


class Teller:
    """Tells the `wanted` attributes of files. Its methods block."""

    def __init__(self, wanted: Iterable[str]) -> None:
        asked = frozenset(wanted)
        self.names = tuple(name for name in KNOWN if name in asked)
        self._of_alike = [(name, _ALIKE[name]) for name in self.names if name in _ALIKE]
        self._alike: dict[tuple[int, int, int], Attributes] = {}  # by mode and owner
        self._of_stat = [(name, _FOUND[name]) for name in self.names if name in _FOUND]
        self._rights = [(name, _RIGHTS[name]) for name in self.names if name in _RIGHTS]
        self._accounts = Accounts()
        self._user = "user" in asked
        self._group = "group" in asked
        self._target = "target" in asked

    @property
    def type_alone(self) -> bool:
        """Whether a listing tells all that is wanted."""
        return self.names in ((), ("type",))

    def tell(self, found: os.stat_result, path: str | bytes, dir_fd: int | None, *, follow: bool) -> Attributes:
        """Of what is at `path`, relative to `dir_fd`, and was found to be so."""
        key = (found.st_mode, found.st_uid, found.st_gid)
        alike = self._alike.get(key)
        if alike is None:
            alike = self._alike[key] = self._tell_alike(found)
        told = alike.copy()
        for name, of in self._of_stat:
            told[name] = of(found)
        if self._target and stat.S_ISLNK(found.st_mode):
            target = read_link(path, dir_fd)
            if target is not None:
                told["target"] = target
        for name, right in self._rights:
            told[name] = os.access(path, right, dir_fd=dir_fd, follow_symlinks=follow, effective_ids=True)
        return told

    def _tell_alike(self, found: os.stat_result) -> Attributes:
        told = {name: of(found) for name, of in self._of_alike}
        if self._user:
            told["user"] = self._accounts.user(found.st_uid)
        if self._group:
            told["group"] = self._accounts.group(found.st_gid)
        return told


def read_link(path: str | bytes, dir_fd: int | None) -> str | None:
    """Where the link leads; None if it cannot be read, or is gone."""
    try:
        return written(os.readlink(path if isinstance(path, bytes) else system_path(path), dir_fd=dir_fd))
    except OSError:
        return None
