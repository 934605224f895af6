"""Who may do what with a new file: owner, mode, access list, security context, as data and as system calls.

A POSIX access list is the extended attribute of that name: a version, then entries of tag, permissions and id. The
group bits of the mode of a file with a list are its mask.
"""

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Mapping
from typing import Final

import msgspec

ACCESS_LIST: Final = "system.posix_acl_access"
DEFAULT_LIST: Final = "system.posix_acl_default"
CONTEXT: Final = "security.selinux"
USER_PREFIX: Final = "user."

_HEAD: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<HHI")
_USER_OBJ, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x04, 0x10, 0x20
_NAMED: Final = (0x02, 0x08)
_FILE: Final = 0o666  # what a file that is not a program is made with
NO_MODES: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system says that has no modes, or none but its own, as FAT has it, to the owner of a new file."""

_NONE_THERE: Final = (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has, or is to have. None: as it comes."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    lists: Mapping[str, bytes] | None = None
    """Extended attributes to have, an access list among them; a list that is not in it is taken away."""


def access_of(fd: int, found: os.stat_result) -> Access:
    """Of the file that `fd`, which may be for looking alone, leads to."""
    path = b"/proc/self/fd/%d" % fd
    kept = {}
    for name in _attributes(path):
        if name in (ACCESS_LIST, CONTEXT) or name.startswith(USER_PREFIX):
            with contextlib.suppress(OSError):  # gone meanwhile, or not for us to read: then it is not ours to copy
                kept[name] = os.getxattr(path, name)
    return Access(uid=found.st_uid, gid=found.st_gid, mode=stat.S_IMODE(found.st_mode), lists=kept)


def _attributes(path: bytes) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []  # no extended attributes here


def give(fd: int, wanted: Access) -> None:
    """Make the file `fd` so: owner, then lists, then mode. Raises OSError where that is refused."""
    if wanted.uid is not None or wanted.gid is not None:
        _give_owner(fd, -1 if wanted.uid is None else wanted.uid, -1 if wanted.gid is None else wanted.gid)
    if wanted.lists is not None:
        _give_lists(fd, wanted.lists)
    if wanted.mode is not None and stat.S_IMODE(os.fstat(fd).st_mode) != wanted.mode:
        os.fchmod(fd, wanted.mode)  # not where it has it: a file system without modes refuses to be asked


def _give_owner(fd: int, uid: int, gid: int) -> None:
    found = os.fstat(fd)
    if uid not in (-1, found.st_uid) or gid not in (-1, found.st_gid):
        os.fchown(fd, uid, gid)


def _give_lists(fd: int, wanted: Mapping[str, bytes]) -> None:
    if ACCESS_LIST not in wanted:
        try:
            os.removexattr(fd, ACCESS_LIST)  # from the default of its directory
        except OSError as error:
            if error.errno not in _NONE_THERE:
                raise
    for name, value in wanted.items():
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            # A context may be for others to set: the one that the directory gives is a safe one.
            if error.errno not in _NONE_THERE and name != CONTEXT:
                raise


def without_group(mode: int) -> int:
    """`mode` for a file whose group cannot stay: nobody may do more with it than before.

    Members of the old group are others now, and others may be in the new group.
    """
    both = (mode >> 3) & mode & 0o7
    return (mode & 0o1700) | both << 3 | both


def new_mode(directory: int, umask: int) -> int:
    """The mode that a new file in the directory gets: a default access list there counts, or else the umask."""
    try:
        raw = os.getxattr(b"/proc/self/fd/%d" % directory, DEFAULT_LIST)
    except OSError:
        return _FILE & ~umask
    return mode_of_list(raw) & _FILE


def _rights(raw: bytes) -> dict[int, int]:
    """By tag, but for named users and groups."""
    return {tag: perm for tag, perm, _ in _ENTRY.iter_unpack(raw[_HEAD.size :]) if tag not in _NAMED}


def mode_of_list(raw: bytes) -> int:
    """The permission bits that an access list stands for."""
    rights = _rights(raw)
    group = rights.get(_MASK, rights.get(_GROUP_OBJ, 0))
    return rights.get(_USER_OBJ, 0) << 6 | group << 3 | rights.get(_OTHER, 0)


def group_mode_of_list(raw: bytes) -> int:
    """The same without the list: what its entries for the owning group and for others allow."""
    rights = _rights(raw)
    group = rights.get(_GROUP_OBJ, 0) & rights.get(_MASK, 7)
    return rights.get(_USER_OBJ, 0) << 6 | group << 3 | rights.get(_OTHER, 0)


def read_umask() -> int:
    """Of this process. Asked of the kernel: umask(2) could only tell by changing it, for all threads."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077  # nobody can tell: then nobody else may read it
