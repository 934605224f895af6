"""A file system that answers nothing: FUSE, whose server has not even said who it is. Whoever looks into it waits until
it is killed, or until the mount is gone."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .missing import lack

_DETACH: Final = 2


@contextmanager
def hung_mount(directory: Path) -> Iterator[Path]:
    """Mounted on this directory, which is made, for every user. Who waits gets an error at the end."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        lack("needs root and /dev/fuse, for a file system that hangs")
    directory.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"none", os.fsencode(directory), b"fuse", 0, options.encode()) != 0:
            lack(f"no FUSE here: {os.strerror(ctypes.get_errno())}")
        yield directory
    finally:
        os.close(server)
        libc.umount2(os.fsencode(directory), _DETACH)


def is_stuck(pid: int) -> bool:
    """Whether one of the threads of a process waits in such a file system, or for a disk."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            if (task / "stat").read_text().rpartition(")")[2].split()[0] == "D":
                return True
    return False
