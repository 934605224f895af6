"""cockpit-ws on a free port of 127.0.0.1, with one local session behind it."""

import json
import shlex
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .parts import COCKPIT_WS
from .processes import MARK, children, descendants, whole_family_ends

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write_package(
    data_home: Path, name: str, manifest: Mapping[str, Any], files: Mapping[str, bytes] | None = None
) -> Path:
    """Install a package below `data_home` as a user would; `files` by path within it. Gives its directory."""
    package = data_home / "cockpit" / name
    package.mkdir(parents=True)
    for path, content in {"manifest.json": json.dumps(manifest, indent=2).encode(), **(files or {})}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_bytes(content)
    return package


def write_session_command(path: Path, argv: Sequence[str], environ: Mapping[str, str], log: Path) -> Path:
    """Write what `--local-session` wants: one executable that needs no argument.

    It becomes `argv`, under the same pid, with `environ` on top of cockpit-ws's environment; its stderr is
    appended to `log`.
    """
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environ.items()]
    run = f"exec {shlex.join(argv)} 2>>{shlex.quote(str(log))}"
    path.write_text("\n".join(["#!/bin/sh", *exports, run, ""]))
    path.chmod(0o700)
    return path


class CockpitWs:
    """A context manager: cockpit-ws runs inside it, and with its end so does all that the session started.

    `url` is where it is served, without a path; `pid` is cockpit-ws's own; its output goes to the file `log`.
    `directory` is made for the log, the session's home and the configuration (`conf`: text of cockpit.conf).
    Without `session_command` it asks who it is, and has cockpit-session start what it starts.
    `program` may name another cockpit-ws, or begin with a command that ends in an exec of it.
    """

    def __init__(
        self,
        session_command: Path | None,
        directory: Path,
        *,
        conf: str = "",
        program: Sequence[str] = (COCKPIT_WS,),
    ) -> None:
        self.log = directory / "cockpit-ws.log"
        self.url = ""
        self.pid = 0
        self._session_command = session_command
        self._directory = directory
        self._conf = conf
        self._program = program
        self._run = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        home, etc = self._directory / "home", self._directory / "etc"
        home.mkdir(parents=True)
        (etc / "cockpit").mkdir(parents=True)
        (etc / "cockpit" / "cockpit.conf").write_text(self._conf)
        with socket.create_server(("127.0.0.1", 0)) as listener, self.log.open("wb") as log:
            port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", Path(__file__).with_name("socket_activated.py")),
                    *(str(listener.fileno()), *self._program),
                    *("--no-tls", "--address", "127.0.0.1", "--port", str(port)),
                    *([f"--local-session={self._session_command}"] if self._session_command else []),
                ],
                # Nothing of the user's or of the test run's own session may reach the one under test.
                env={
                    "PATH": _SYSTEM_PATH,
                    "LANG": "C.UTF-8",
                    "HOME": str(home),
                    # cockpit-bridge takes HOME from the user database; a terminal must not write there.
                    "HISTFILE": str(home / "history"),
                    "XDG_CONFIG_DIRS": str(etc),
                    "XDG_DATA_DIRS": "/usr/share",
                    MARK: self._run,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                cwd=home,
            )
        self.pid = self._process.pid
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None, "left before it was entered"
        with whole_family_ends(self._run) as family:
            family.hold(descendants(process.pid))  # some have an environment that others may not read
            process.terminate()
            process.wait()

    def session_pid(self) -> int:
        """The pid of the one session behind cockpit-ws."""
        pids = children(self.pid)
        assert len(pids) == 1, f"cockpit-ws has {len(pids)} child processes, one session was expected"
        return pids[0]
