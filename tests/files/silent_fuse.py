"""Mounts a file system that never answers on a directory, and becomes another program.

    python3 silent_fuse.py DIRECTORY PROGRAM [ARGUMENT ...]     as root, in a mount namespace of its own

FUSE asks whoever has the descriptor, which is that program, and that does not know of it: nobody ever answers. With the
program the descriptor goes, and with that the file system.
"""

import ctypes
import os
import sys


def main(directory: str, *program: str) -> None:
    fd = os.open("/dev/fuse", os.O_RDWR)
    os.set_inheritable(fd, True)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"silent", os.fsencode(directory), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.execv(program[0], program)  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    main(*sys.argv[1:])
