"""A `spanbridge` process under test."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from . import processes
from .deadline import SECONDS, Deadline, Hang
from .front_end import FrontEnd
from .home import Home
from .script import Rule
from .tail import Tail
from .tracebacks import HIDE

__tracebackhide__ = HIDE

SPANBRIDGE: Final = Path(sys.executable).with_name("spanbridge")
"""The program beside the interpreter that runs the tests."""
MARK: Final = "BRIDGE_KIT_RUN"
"""Environment variable that a bridge and all that it starts carry; the value tells runs apart."""
JOURNAL: Final = "BRIDGE_KIT_JOURNAL"
"""Environment variable that names the file in which fake helpers leave notes."""
GONE_SECONDS: Final = 10.0
"""Guard for what a bridge leaves behind when it ends: that must go by itself."""


class LeftBehind(AssertionError):
    """A bridge has ended, and something that it had started has not."""


class Bridge:
    """Starts when made; ends, at the latest, when it is left as a context manager.

    `limits` are set through SPANBRIDGE_* variables. `front_end` is the other end of its stdin and stdout. What it logs
    is in `log`, unless it is given a descriptor for its `stderr`; the notes of fake helpers are in `journal`.
    """

    def __init__(
        self,
        home: Home,
        *,
        arguments: Sequence[str] = (),
        limits: Mapping[str, float | str] | None = None,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = (str(SPANBRIDGE),),
        stderr: int | None = None,
    ) -> None:
        self.home = home
        run = uuid.uuid4().hex
        self.mark = f"{MARK}={run}"
        self.log = Tail(home.root / f"bridge-{run}.log")
        self.journal = Tail(home.root / f"journal-{run}")
        given = {f"SPANBRIDGE_{name.upper()}": str(value) for name, value in (limits or {}).items()}
        self.environ = {**home.environ, **given, MARK: run, JOURNAL: str(self.journal.path), **(environ or {})}
        from_bridge, child_out = os.pipe()
        child_in, to_bridge = os.pipe()
        try:
            with self.log.path.open("ab") as log:
                self._process = subprocess.Popen(
                    [*command, *arguments],
                    stdin=child_in,
                    stdout=child_out,
                    stderr=log if stderr is None else stderr,
                    env=self.environ,
                    cwd=home.root,
                )
        finally:
            os.close(child_in)
            os.close(child_out)
        self.pid = self._process.pid
        self.front_end = FrontEnd(to_bridge, from_bridge, explain=self.explain)

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.end()
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self.front_end.hang_up()
            self.front_end.stop_listening()
            self.check_nothing_left()

    # The end

    def end(self) -> int:
        """Hang up if that was not done, and wait until it has ended; its exit status, below 0 for a signal."""
        self.front_end.hang_up()
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended, reading what it says meanwhile; its exit status, below 0 for a signal."""
        if self.front_end.reading and not self.front_end.ended:
            self.front_end.read_to_end()
        try:
            return self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Hang(f"waited for the bridge to end\n{self.explain()}") from None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def reload(self) -> None:
        """Have it read the manifests anew, and wait until it has."""
        before = len(self.log.matches(r"\breloaded\b"))
        self.signal(signal.SIGUSR1)
        self.log.wait(r"\breloaded\b", before + 1)

    def package(self, name: str, /, *bridges: Rule, **manifest: Any) -> Path:
        """Write a package, as Home.package does, and have the bridge read it; its directory."""
        directory = self.home.package(name, *bridges, **manifest)
        self.reload()
        return directory

    def check_nothing_left(self, seconds: float = GONE_SECONDS) -> None:
        """All that it ever started goes by itself. What does not is killed, and named in LeftBehind."""
        left = processes.wait_ended(processes.marked(self.mark), Deadline(seconds))
        left += [pid for pid in processes.marked(self.mark) if pid not in left]
        told = [processes.describe(pid) for pid in left]
        processes.kill(left)
        processes.wait_ended(left)
        if left:
            raise LeftBehind(f"still running after the end of the bridge: {', '.join(told)}\n{self.explain()}")

    # What it is and does

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def children(self) -> list[int]:
        """Its children, zombies among them."""
        return processes.children(self.pid)

    @property
    def family(self) -> list[int]:
        """All that it started, directly or not, and that runs."""
        return [pid for pid in processes.marked(self.mark) if pid != self.pid]

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What fake helpers have noted, in order."""
        return [json.loads(line) for line in self.journal.lines]

    @property
    def noted_messages(self) -> list[dict[str, Any]]:
        """The control messages that fake helpers have noted, in order."""
        return [json.loads(note["note"]) for note in self.notes if note["note"].startswith("{")]

    def wait_note(self, text: str, count: int = 1, *, of: str = "") -> list[dict[str, Any]]:
        """Wait until fake helpers (with `of` as an argument) have noted `text` so many times; those notes."""
        argument = f'.*"argv": .*"{re.escape(of)}"' if of else ""
        lines = self.journal.wait(f'"note": "{text}"{argument}', count)
        return [json.loads(line) for line in lines]

    def explain(self) -> str:
        """What is to be known of it when a test fails."""
        state = "running" if self.running else f"ended with status {self._process.returncode}"
        log, notes = self.log.text[-8_000:], self.journal.text[-4_000:]
        return f"the bridge {self.pid} is {state}; its log:\n{log}\nnotes:\n{notes}"
