"""What outlives the bridge for a moment when that is killed by SIGKILL: a shell that ends process groups.

The kernel kills a helper when its parent dies (process.py), but not what the helper has started. So a shell, which is
started with the first helper or program, reads the numbers of the groups from a pipe; at its end, however it comes
about, those that are still listed get SIGKILL, or SIGTERM. It costs one small process and 2 ms at the first of them.

It is no child of ours: whoever counts our children finds helpers, and a bridge that is killed could not reap it.
Groups that helpers made for what is to outlive them are left alone.
"""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Final

_SHELL: Final = "/bin/sh"
_START_SECONDS: Final = 5.0
# `list` holds the groups between blanks, with a `t` before those that get SIGTERM. Descriptor 3, since the stdin of a
# job in the background is /dev/null.
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
    for group in $list; do
        case $group in
        t*)
            kill -s TERM -- "-${group#t}"
            kill -s CONT -- "-${group#t}"
            ;;
        *) kill -s KILL -- "-$group" ;;
        esac
    done
) &
"""


class Watchdog:
    """Knows the process groups that run. Started with the first one; `close` ends it. `complain` is told why it does
    not work."""

    __slots__ = ("_complain", "_fd", "_groups", "_unsaid")

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._fd = -1
        self._groups: dict[int, bytes] = {}  # that run, as they are listed
        self._unsaid: list[bytes] = []  # what the shell, which must be stuck, had no room for

    def add(self, group: int, number: int = signal.SIGKILL) -> None:
        """The group runs; `number` is what it gets: SIGKILL, or SIGTERM where it may have something to put in order."""
        listed = self._groups[group] = b"%s%d" % (b"" if number == signal.SIGKILL else b"t", group)
        if self._fd >= 0:
            self._tell(b"+ %s\n" % listed)
        elif self._start():
            for each in self._groups.values():
                self._tell(b"+ %s\n" % each)

    def remove(self, group: int) -> None:
        """Nobody is left of it; its number may be somebody else's from now on."""
        listed = self._groups.pop(group, None)
        if listed is None:
            return
        if b"+ %s\n" % listed in self._unsaid:
            self._unsaid.remove(b"+ %s\n" % listed)
        elif self._fd >= 0:
            self._tell(b"- %s\n" % listed)

    def close(self) -> None:
        """Those that are listed still are killed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._unsaid.clear()

    def _start(self) -> bool:
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
                timeout=_START_SECONDS,
            )
            os.set_blocking(ours, False)
            self._fd, ours = ours, -1
        except (OSError, subprocess.SubprocessError) as error:
            self._complain(str(error))
        finally:
            for fd in (ours, theirs):
                if fd >= 0:
                    os.close(fd)
        return self._fd >= 0

    def _tell(self, line: bytes) -> None:
        self._unsaid.append(line)
        try:
            while self._unsaid:
                os.write(self._fd, self._unsaid[0])
                del self._unsaid[0]
        except BlockingIOError:
            pass  # to close it now would have it kill what runs
        except OSError as error:  # somebody has killed it
            self._complain(str(error))
            self.close()
