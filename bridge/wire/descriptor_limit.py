"""The soft limit on descriptors: raised to the hard one for us, and as it was for what we start.

A connection to another host takes four, a program of a channel as many. Programs get the limit back since some of them
loop over all numbers up to it, and select(2) ends at 1024.
"""

import contextlib
import resource

_before: list[int] = []  # the soft limit that we were started with, once it was raised


def raise_limit() -> None:
    """Have as many as the hard limit allows. Once, at the start of the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and not _before:
        with contextlib.suppress(OSError, ValueError):  # a hard limit above what the kernel allows by now
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            _before.append(soft)


def give_back(pid: int) -> None:
    """To be called for each process that we have started, at once."""
    if _before:
        with contextlib.suppress(OSError):  # it has ended, or runs as somebody else by now
            hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(_before[0], hard) if hard >= 0 else _before[0], hard))
