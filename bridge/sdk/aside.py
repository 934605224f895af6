"""Our stdout, put aside as soon as the SDK is imported: what is printed from then on cannot get between the frames.

Only where there can be a bridge at the other end: stdin and stdout are pipes, or sockets, and no tests are run in this
process. A program that is a helper only now and then imports the SDK where it becomes one.
"""

import contextlib
import io
import os
import stat
import sys

_aside: list[int] = []  # the descriptor that leads to the bridge, while it is put aside


def put_aside() -> None:
    """Have fd 1 lead to stderr, line by line."""
    if _aside or "pytest" in sys.modules or not all(map(_may_lead_to_a_bridge, (0, 1))):
        return
    _aside.append(os.dup(1))
    lead_to_stderr()


def sink() -> int:
    """The descriptor that frames are written to: that which was put aside, or fd 1."""
    return _aside[0] if _aside else 1


def done_with() -> None:
    """Somebody has the sink by a descriptor of their own: ours must not keep it open behind them."""
    while _aside:
        os.close(_aside.pop())


def lead_to_stderr() -> None:
    """From now on, for good: what is printed, here or by a child or a C library or at exit, goes to the log."""
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(ValueError):  # it was closed
            sys.stdout.reconfigure(line_buffering=True)  # whoever reads the log sees a line when it is printed


def _may_lead_to_a_bridge(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
