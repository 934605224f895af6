"""A machine of its own for real logins: users, passwords, PAM, sudo, /usr/local/bin, in a mount namespace of its own.

What `login_inside.py` mounts is seen by what is started in it, and by nobody else; it ends with the last of that.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from ..missing import lack
from .front_ends import BACKPORTS, NEWER, FrontEnd
from .processes import END_SECONDS, parents

USER: Final = "somebody"
PASSWORD: Final = "correct-horse-staple"  # noqa: S105 - of a user who lives as long as a test

_INSIDE: Final = Path(__file__).with_name("login_inside.py")
_NEEDED: Final = {
    "/usr/lib/cockpit/cockpit-session": "cockpit-ws",
    "/usr/bin/cockpit-bridge": "cockpit-bridge",
    "/usr/bin/dbus-daemon": "dbus-daemon",
    "/usr/bin/sudo": "sudo",
    "/usr/sbin/useradd": "passwd",
    "/usr/bin/nsenter": "util-linux",
}


class Process(NamedTuple):
    """One that runs on the machine."""

    pid: int
    uid: int
    command: tuple[str, ...]


class Machine:
    """A context manager. `root` is its root directory as seen from outside; what begins with `enter` runs on it."""

    def __init__(self, front_end: FrontEnd, conf: str) -> None:
        self.enter: tuple[str, ...] = ()
        self.root = Path()
        self.front_end = front_end
        self._conf = conf
        self._space = ""
        self._inside: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if os.getuid() != 0:
            lack("needs uid 0, for users of its own")
        missing = sorted({package for path, package in _NEEDED.items() if not os.path.exists(path)})
        if missing:
            lack("no logins here", *missing)
        newer = [str(BACKPORTS)] if self.front_end is NEWER else []
        command = ["unshare", "--mount", sys.executable, "-I", str(_INSIDE), USER, PASSWORD, *newer]
        self._inside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        assert self._inside.stdout is not None
        assert self._inside.stdout.readline() == b"ready\n", "the machine is not ready"
        pid = self._inside.pid
        self.enter = (shutil.which("nsenter") or "nsenter", f"--mount=/proc/{pid}/ns/mnt", "--")
        self.root = Path(f"/proc/{pid}/root")
        self._space = os.readlink(f"/proc/{pid}/ns/mnt")
        self.write("/etc/cockpit/cockpit.conf", self._conf)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._inside is not None
        assert self._inside.stdin is not None
        self._inside.stdin.close()
        self._inside.wait()

    def write(self, path: str, text: str) -> None:
        """A file of the machine."""
        place = self.root / path.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def run(self, *command: str | Path) -> str:
        """What a program of root's prints, which must succeed."""
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        done = subprocess.run([*self.enter, *command], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def processes(self) -> list[Process]:
        """All that run on it, but its own."""
        assert self._inside is not None
        found = []
        for pid in parents():
            try:
                if pid != self._inside.pid and os.readlink(f"/proc/{pid}/ns/mnt") == self._space:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                    found.append(Process(pid, os.stat(f"/proc/{pid}").st_uid, tuple(command[:-1])))
            except OSError:
                continue  # it has ended, or is none that we may look at
        return [process for process in found if process.command]  # without zombies

    def bridges(self) -> list[Process]:
        """What cockpit-session has started, for each session."""
        above = parents()
        here = {process.pid: process for process in self.processes()}
        sessions = {pid for pid, process in here.items() if process.command[0].endswith("cockpit-session")}
        return [process for pid, process in here.items() if above.get(pid) in sessions and pid not in sessions]

    def kill(self, uid: int) -> None:
        """All that a user has left."""
        for process in self.processes():
            if process.uid == uid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def wait_for_end(self, uids: Sequence[int]) -> None:
        """Until none of these users has a process; nothing tells when the last of them ends."""
        until = time.monotonic() + END_SECONDS * 2
        while left := [process for process in self.processes() if process.uid in uids]:
            assert time.monotonic() < until, f"still running: {left}"
            time.sleep(0.05)
