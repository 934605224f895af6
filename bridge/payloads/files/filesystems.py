"""File systems that do not tell of all changes: those that other machines write to, and those that are made up."""

import ctypes
from typing import Final

_SILENT: Final = frozenset(
    {
        0x0000_6969,  # NFS
        0x0000_517B,  # SMB
        0xFE53_4D42,  # SMB2
        0xFF53_4D42,  # CIFS
        0x6573_5546,  # FUSE
        0x0102_1997,  # 9P
        0x00C3_6400,  # Ceph
        0x5346_414F,  # AFS
        0x6B41_4653,  # kAFS
        0x7375_7245,  # Coda
        0x0000_9FA0,  # proc
        0x6265_6572,  # sysfs
        0x0027_E0EB,  # cgroup
        0x6367_7270,  # cgroup2
        0x6462_6720,  # debugfs
        0x7472_6163,  # tracefs
    }
)
_STATFS_BYTES: Final = 256  # more than struct statfs has anywhere; its first member is the type
_TYPE_MASK: Final = 0xFFFF_FFFF


class FileSystems:
    """Asks of what kind they are. Its methods block."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)

    def silent(self, path: bytes) -> bool:
        """Whether changes of the directory or file at `path` may go untold."""
        buffer = ctypes.create_string_buffer(_STATFS_BYTES)
        if self._libc.statfs(ctypes.c_char_p(path), buffer):
            return True  # nobody knows
        return ctypes.c_long.from_buffer(buffer).value & _TYPE_MASK in _SILENT
