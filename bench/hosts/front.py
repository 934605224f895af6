"""A bridge, and what its front end measures."""

import mmap
import os
import select
import subprocess
import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from spanbridge.testing import processes
from spanbridge.testing.frames import Decoder, Frame, encode, encode_control

MARK = "BENCH_HOSTS_RUN"
_SECONDS = 20.0  # without a byte
_ENTRY = array("Q")  # of a pagemap
_PRESENT = 1 << 63
_FRAME = (1 << 55) - 1
_LAST_PAGE = (1 << 47) // mmap.PAGESIZE  # above it the kernel's own


class Front:
    """Starts the bridge `command` and exchanges `init` with it."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], run: str) -> None:
        self._run = run
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environ, MARK: run},
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self.wait(lambda message: message.get("command") == "init")
        self.control("init", version=1, host="localhost")

    def __enter__(self) -> "Front":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        while os.read(self._out, 1 << 20):
            pass
        self._process.stdout.close()
        self._process.wait()

    def control(self, command: str, **members: Any) -> None:
        self._write(encode_control({"command": command, **members}))

    def wait(self, fits: Any) -> dict[str, Any]:
        """The first control message that fits; those before it are dropped. Raises RuntimeError."""
        while True:
            for index, frame in enumerate(self._frames):
                if not frame.channel and fits(frame.message):
                    del self._frames[: index + 1]
                    return frame.message
                if not frame.channel and frame.message.get("command") == "close":
                    raise RuntimeError(f"a channel was closed: {frame.message}")
            self._frames.clear()
            self._read()

    def ready(self, channel: str, **members: Any) -> float:
        """Seconds from an open to its `ready`."""
        began = time.perf_counter()
        self.control("open", channel=channel, **members)
        self.wait(lambda message: message.get("command") == "ready" and message.get("channel") == channel)
        return time.perf_counter() - began

    def echo(self, channel: str, payload: bytes = b"x") -> float:
        """Seconds of a round trip; whatever else comes meanwhile is dropped."""
        began = time.perf_counter()
        self._write(encode(channel, payload))
        while not any(frame.channel == channel for frame in self._frames):
            self._frames.clear()
            self._read()
        self._frames.clear()
        return time.perf_counter() - began

    def drain(self, nbytes: int) -> float:
        """Seconds until so many bytes have come, which are not looked at."""
        began = time.perf_counter()
        while nbytes > 0:
            if not select.select([self._out], [], [], _SECONDS)[0]:
                raise RuntimeError(f"{nbytes} bytes have not come")
            data = os.read(self._out, 1 << 20)
            if not data:
                raise RuntimeError("the bridge has ended")
            nbytes -= len(data)
        return time.perf_counter() - began

    def memory(self) -> int:
        """Bytes of memory of the bridge and of all that it has started here, a page that several of them have once.

        That is the PSS of all these, but for what the kernel takes off it where processes of others have the page too:
        the far side's have many of them (a C bridge there those of the C bridge here), and would run elsewhere.
        """
        return len(set[int]().union(*map(_pages, processes.marked(f"{MARK}={self._run}")))) * mmap.PAGESIZE

    def pss(self) -> int:
        """Bytes of the same, as the kernel counts it."""
        return sum(map(_pss, processes.marked(f"{MARK}={self._run}")))

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._in, data) :]

    def _read(self) -> None:
        data = os.read(self._out, 1 << 20)
        if not data:
            raise RuntimeError("the bridge has ended")
        self._frames += self._decoder.feed(data)


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _pages(pid: int) -> set[int]:
    """The numbers of the page frames that a process has (Documentation/admin-guide/mm/pagemap.rst)."""
    found: set[int] = set()
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
            for line in maps:
                begin, end = (int(address, 16) // mmap.PAGESIZE for address in line.split()[0].split("-"))
                if begin <= _LAST_PAGE:
                    pagemap.seek(begin * _ENTRY.itemsize)
                    entries = array(_ENTRY.typecode, pagemap.read((end - begin) * _ENTRY.itemsize))
                    found.update(entry & _FRAME for entry in entries if entry & _PRESENT)
    except OSError:  # it has ended
        return set()
    return found
