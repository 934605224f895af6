"""The front end's side of the protocol (docs/protocol.md): starts a bridge and speaks with it, frame by frame."""

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

VERSION = 1  # of the protocol


class Unexpected(Exception):
    """The bridge did not do what was expected; the text says what it did."""


class Frame(NamedTuple):
    """One frame. The channel of a control message is empty."""

    channel: str
    payload: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The control message that it is."""
        message: dict[str, Any] = json.loads(self.payload)
        return message


class Bridge:
    """A bridge process, inside a `with` block. It is killed where the block is left before it has ended.

    `log` is the file that its stderr goes to; `seconds` is how long any one answer may take.
    """

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], log: Path, seconds: float = 10.0) -> None:
        self._argv = argv
        self._environ = environ
        self._log = log
        self._seconds = seconds
        self._rest = b""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._argv, env=self._environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def send(self, channel: str, payload: bytes) -> None:
        """One frame: the number of bytes after the first line feed, channel, line feed, payload."""
        body = channel.encode() + b"\n" + payload
        self._stdin.write(b"%d\n%b" % (len(body), body))

    def control(self, command: str, **members: object) -> None:
        """One control message."""
        self.send("", json.dumps({"command": command, **members}).encode())

    def receive(self) -> Frame | None:
        """The next frame; None once the bridge has closed its stdout. Raises Unexpected if neither comes in time."""
        deadline = time.monotonic() + self._seconds
        while (frame := self._take()) is None:
            if not select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Unexpected(f"nothing came from the bridge for {self._seconds:g} s")
            chunk = os.read(self._stdout.fileno(), 65_536)
            if not chunk:
                if self._rest:
                    raise Unexpected(f"the bridge ended within a frame: {self._rest[:60]!r}")
                return None
            self._rest += chunk
        return frame

    def _take(self) -> Frame | None:
        """The first frame of what has come, if it is whole."""
        digits, end, rest = self._rest.partition(b"\n")
        if not end:
            return None
        if not digits.isdigit():
            raise Unexpected(f"expected the length of a frame, found {digits[:60]!r}")
        length = int(digits)
        if len(rest) < length:
            return None
        channel, _, payload = rest[:length].partition(b"\n")
        self._rest = rest[length:]
        return Frame(channel.decode(), payload)

    def hang_up(self) -> None:
        """Close the bridge's stdin: the session is over."""
        self._stdin.close()

    def wait(self) -> int:
        """Its exit status. Raises Unexpected."""
        try:
            return self._process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"the bridge did not end within {self._seconds:g} s") from None
