"""What outlives the bridge for a moment when that is killed by SIGKILL: a shell that kills the helpers' process groups.

The kernel kills a helper when its parent dies (process.py), but not what the helper has started. So a shell, which is
started with the first helper, reads the numbers of the groups from a pipe; at its end, however it comes about, those
that are still listed get SIGKILL. It costs one small process and 2 ms at the first helper.

It is no child of ours: whoever counts our children finds helpers, and a bridge that is killed could not reap it.
Groups that helpers made for what is to outlive them are left alone.
"""

import os
import subprocess
from typing import Final

from .log import Log

_SHELL: Final = "/bin/sh"
# `list` holds the groups between blanks. Descriptor 3, since the stdin of a job in the background is /dev/null.
_SCRIPT: Final = """
exec 3<&0
(
    trap '' TERM HUP INT
    list=' '
    while read -r sign group <&3; do
        case $sign in
        +) list="$list$group " ;;
        -) case $list in *" $group "*) list="${list%%" $group "*} ${list#*" $group "}" ;; esac ;;
        esac
    done
    for group in $list; do kill -s KILL -- "-$group"; done
) &
"""


class Watchdog:
    """Knows the process groups that run. Started with the first one; `close` ends it."""

    __slots__ = ("_failed", "_fd", "_log")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._fd = -1
        self._failed = False

    def add(self, group: int) -> None:
        """The group runs."""
        if self._fd < 0 and not self._failed:
            self._start()
        self._tell(b"+ %d\n" % group)

    def remove(self, group: int) -> None:
        """Nobody is left of it; its number may be somebody else's from now on."""
        self._tell(b"- %d\n" % group)

    def close(self) -> None:
        """Those that are listed still are killed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _start(self) -> None:
        ours = theirs = -1
        try:
            theirs, ours = os.pipe2(os.O_CLOEXEC)
            subprocess.run(
                [_SHELL, "-c", _SCRIPT],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
                check=True,
            )
            os.set_blocking(ours, False)
            self._fd, ours = ours, -1
        except (OSError, subprocess.SubprocessError) as error:
            self._failed = True
            self._log.warning("no-watchdog", why=str(error))
        finally:
            for fd in (ours, theirs):
                if fd >= 0:
                    os.close(fd)

    def _tell(self, line: bytes) -> None:
        if self._fd < 0:
            return
        try:
            os.write(self._fd, line)
        except OSError as error:  # somebody has killed it
            self._log.warning("no-watchdog", why=str(error))
            self._failed = True
            self.close()
