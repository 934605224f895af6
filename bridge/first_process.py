"""Being the first process of a container: the parent of whatever is orphaned there.

Nobody else reaps those, and the bridge knows no children but its own. So it goes on as a child, and what was the first
process waits: for whoever ends, and for signals, which it passes on.
"""

import os
import signal

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


def step_behind() -> None:
    """Return in a child, the bridge from now on. The first process ends with its status, and everybody with that."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    bridge = os.fork()
    if not bridge:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):  # their ends are to be seen by whoever has the others
        os.dup2(nowhere, fd)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would not come
    while True:
        number = signal.sigwait((*_PASSED_ON, signal.SIGCHLD))
        if number != signal.SIGCHLD:
            os.kill(bridge, number)
            continue
        status = _reap(bridge)
        if status is not None:
            os._exit(status)


def _reap(bridge: int) -> int | None:
    """Reap all that have ended; the status to end with, if the bridge is among them."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if not pid:
            return status
        if pid == bridge:
            code = os.waitstatus_to_exitcode(found)
            status = code if code >= 0 else 128 - code
