"""Descriptors of our own for streams that others share.

Whether a descriptor blocks belongs to the open file description, and a shell, a front end and its helpers may share
one: whoever sets it blocking has us hang in write(2). A pipe is opened anew where the kernel allows that; what cannot
be, such as a socket, is only duplicated.
"""

import os
import stat


def own_descriptor(fd: int) -> int:
    """Another descriptor for what `fd` is, non-blocking, which the caller closes."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        mode = os.O_WRONLY if fd_writes(fd) else os.O_RDONLY
        try:
            return os.open(f"/proc/self/fd/{fd}", mode | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # no /proc, or the pipe is somebody else's
            pass
    found = os.dup(fd)
    os.set_blocking(found, False)
    return found


def fd_writes(fd: int) -> bool:
    """Whether `fd` is open for writing."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
