"""A machine whose process 1 is systemd, as `boot` makes it of a directory."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..browser.processes import parents

USER: Final = "somebody"
PASSWORD: Final = "correct-horse-staple"  # noqa: S105 - of a user who lives as long as a test

_BOOT: Final = Path(__file__).with_name("boot")
_SECONDS: Final = 60.0
_ENVIRON: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Machine:
    """A context manager: it runs inside it. What begins with `enter` runs on it, in the network of this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.enter: tuple[str, ...] = ()
        self._boot: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        boot = self._boot = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", _BOOT, self.root], stdin=subprocess.DEVNULL
        )
        until = time.monotonic() + _SECONDS
        while (pid := _systemd_below(boot.pid)) is None:
            self._wait_a_moment(until, "systemd has not started")
        self.enter = ("nsenter", f"--target={pid}", *("--mount", "--pid", "--cgroup", "--ipc", "--uts", "--"))
        while not (Path(f"/proc/{pid}/root/run/systemd/private")).exists():
            self._wait_a_moment(until, "systemd is not to be spoken with")
        self.run("systemctl", "is-system-running", "--wait")
        self.run("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", USER)
        self.run("chpasswd", told=f"{USER}:{PASSWORD}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._boot is not None
        self._boot.terminate()
        self._boot.wait()

    def _wait_a_moment(self, until: float, otherwise: str) -> None:
        assert self._boot is not None
        assert self._boot.poll() is None, "the machine has ended"
        assert time.monotonic() < until, otherwise
        time.sleep(0.05)

    def write(self, path: str, text: str) -> None:
        """A file of the machine."""
        place = self.root / path.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def run(self, *command: str, told: str = "", environ: Mapping[str, str] = _ENVIRON) -> str:
        """What a program of root's prints, which must succeed."""
        done = self.attempt(*command, told=told, environ=environ)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def attempt(
        self, *command: str, told: str = "", environ: Mapping[str, str] = _ENVIRON
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.enter, *command],
            env=environ,
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )


def _systemd_below(pid: int) -> int | None:
    """Process 1 of the machine, once it is systemd."""
    above = parents()
    for each in above:
        if above.get(above.get(each, 0)) == pid or above.get(each) == pid:
            try:
                if os.readlink(f"/proc/{each}/exe").endswith("/systemd"):
                    return each
            except OSError:
                continue
    return None
