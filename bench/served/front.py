"""A front end in Python, for what needs little of it: few messages, or figures that are of the bridge alone."""

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.home import Home, make_home
from bench.reaper import kill_children
from bench.run import STDERR_BYTES, RunError

WAIT_SECONDS = 20.0
END_SECONDS = 10.0
TICK = 1.0 / os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


class Front:
    """The front end of one bridge, which has exchanged `init` with it."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._name = command[0]
        with log.open("wb") as stderr:
            self.bridge = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=dict(environ), cwd="/"
            )
        self.pid = self.bridge.pid
        assert self.bridge.stdin is not None
        assert self.bridge.stdout is not None
        self._to, self._from = self.bridge.stdin.fileno(), self.bridge.stdout.fileno()
        self._rest = bytearray()
        self.frame()  # its init
        self.control("init", version=1, host="localhost")

    def control(self, command: str, **members: Any) -> None:
        """Send a control message."""
        self.send("", json.dumps({"command": command, **members}).encode())

    def open(self, channel: str, options: Mapping[str, Any]) -> None:
        self.control("open", channel=channel, **options)

    def send(self, channel: str, payload: bytes) -> None:
        """Send one frame, however long the bridge takes."""
        self.write(self.framed(channel, payload))

    @staticmethod
    def framed(channel: str, payload: bytes) -> bytes:
        body = channel.encode() + b"\n" + payload
        return b"%d\n%b" % (len(body), body)

    def write(self, frames: bytes) -> None:
        """Send whole frames."""
        view = memoryview(frames)
        while view:
            view = view[os.write(self._to, view) :]

    def frame(self, deadline: float | None = None) -> tuple[str, bytes]:
        """The next frame: channel and payload. Raises RunError if there is none before `deadline` (monotonic)."""
        if deadline is None:
            deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = self._cut()
            if found is not None:
                return found
            if not select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise self.failed("nothing more came")
            chunk = os.read(self._from, MIB)
            if not chunk:
                raise self.failed("it ended")
            self._rest += chunk

    def _cut(self) -> tuple[str, bytes] | None:
        end = self._rest.find(b"\n", 0, 10)
        if end < 0:
            return None
        size = int(self._rest[:end])
        if len(self._rest) < end + 1 + size:
            return None
        body = bytes(self._rest[end + 1 : end + 1 + size])
        del self._rest[: end + 1 + size]
        channel, _, payload = body.partition(b"\n")
        return channel.decode(), payload

    def expect(self, command: str, channel: str) -> dict[str, Any]:
        """Wait for a control message, and pass over what else comes. A close with a problem is a RunError."""
        while True:
            of, payload = self.frame()
            if of:
                continue
            message: dict[str, Any] = json.loads(payload)
            if message.get("channel") != channel:
                continue
            if message["command"] == command:
                return message
            if message["command"] == "close":
                raise self.failed(f"{channel} was closed: {message.get('problem')}: {message.get('message')}")

    def expect_ready(self, channels: int) -> None:
        """Wait until so many channels are ready, in any order."""
        while channels:
            of, payload = self.frame()
            message: dict[str, Any] = json.loads(payload) if not of else {}
            if message.get("command") == "close":
                raise self.failed(f"closed: {message}")
            channels -= message.get("command") == "ready"

    def read_for(self, seconds: float) -> int:
        """Read for a while; how many data frames came."""
        deadline, frames = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._from], [], [], left)[0]:
                self._rest += os.read(self._from, MIB)
            while (found := self._cut()) is not None:
                frames += bool(found[0])
        return frames

    # What it costs

    def cpu_seconds(self) -> float:
        """CPU time of the bridge, all threads."""
        return time.clock_gettime((~self.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it

    def rss_mib(self) -> float:
        return self._status("VmRSS")

    def reset_peak(self) -> float:
        """From now on `peak_mib` counts; the resident memory now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.rss_mib()

    def peak_mib(self) -> float:
        return self._status("VmHWM")

    def private_mib(self) -> float:
        """What is its own, shared with nobody."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024

    def failed(self, what: str) -> RunError:
        said = self._log.read_bytes()[-STDERR_BYTES:].decode(errors="replace").strip() or "(nothing)"
        return RunError(f"{self._name}: {what}; it said: {said}")

    def end(self) -> None:
        for pipe in (self.bridge.stdin, self.bridge.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self.bridge.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.bridge.kill()
            self.bridge.wait()


@contextmanager
def front_of(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[Front]:
    """A front end on a new bridge, in a home of its own; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        of_home = make_home(root / "home", Home(helpers=False))
        front = Front(command, {**of_home, **(environ or {})}, root / "bridge.log")
        try:
            yield front
        finally:
            front.end()
            kill_children()
