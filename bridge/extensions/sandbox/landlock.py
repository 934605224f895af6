"""Landlock (landlock(7)): which files a process may open, which TCP ports it may use. For good."""

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from .calls import LANDLOCK

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ: Final = READ_FILE | READ_DIR
WRITE: Final = (
    READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE
)
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_ALL_OF: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""By version of the interface: every right that it knows."""

PORTS_SINCE: Final = 4
_SCOPES_SINCE: Final = 6
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
_VERSION: Final = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_libc: Final = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """A system call. Raises OSError."""
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def landlock_abi() -> int:
    """The version of the kernel's interface; 0: it has none."""
    with contextlib.suppress(OSError):
        return call(LANDLOCK["landlock_create_ruleset"], None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return 0


def apply_landlock(abi: int, paths: Iterable[tuple[str, int]], ports: Iterable[int] | None) -> None:
    """Only these paths with these rights, and only connections to these ports; None: any. Raises OSError.

    Paths that are not there are left out. `no_new_privs` must be set.
    """
    handled = _ALL_OF[min(abi, 5)]
    attributes = struct.pack("=Q", handled)
    if abi >= PORTS_SINCE:
        attributes += struct.pack("=Q", 0 if ports is None else _BIND_TCP | _CONNECT_TCP)
    if abi >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    ruleset = call(
        LANDLOCK["landlock_create_ruleset"], attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
    )
    try:
        for path, rights in paths:
            _allow(ruleset, path, rights & handled)
        if abi >= PORTS_SINCE:
            for port in ports or ():
                _add(ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port))
        call(LANDLOCK["landlock_restrict_self"], ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        _add(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd))
    finally:
        os.close(fd)


def _add(ruleset: int, kind: int, attributes: bytes) -> None:
    call(LANDLOCK["landlock_add_rule"], ctypes.c_int(ruleset), ctypes.c_int(kind), attributes, ctypes.c_uint32(0))
