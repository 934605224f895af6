"""What comes on the stdout of ssh before the bridge over there speaks: noise of login scripts, and a line of ours."""

import re
from typing import Final

from spanbridge.protocol.problems import NOT_SUPPORTED, Problem

from .remote_command import BRIDGES, PYTHON

_ENDS: Final = {b"\n": "", **{f" {name}\n".encode(): name for name in (*BRIDGES, PYTHON)}}  # of our line
_LONGEST: Final = 64  # bytes of our line, more than it has
_INIT: Final = re.compile(rb"([1-9][0-9]{0,7})\n\n\{")
_SHOWN: Final = 200  # bytes of a line of noise


class Noise:
    """Reads until the line with `mark`. A stream that begins with a whole control frame has none (a forced command).

    What is known once it is over: `marked`, whether the line has come, hence the far login shell runs what it was told
    to; `program`, which one, empty if there is none; `nbytes` of noise, and its `first_line`.
    """

    __slots__ = ("_buffer", "_limit", "_mark", "first_line", "marked", "nbytes", "program")

    def __init__(self, mark: str, limit: int) -> None:
        """`limit`: bytes of noise that are borne."""
        self._mark = mark.encode()
        self._limit = limit
        self._buffer = bytearray()
        self.marked = False
        self.program = ""
        self.nbytes = 0
        self.first_line = ""

    def feed(self, chunk: bytes) -> bytes | None:
        """What of the bytes so far is the bridge's; None while it has not begun to speak.

        Raises Problem (`not-supported`) where the noise has no end.
        """
        searched = max(0, len(self._buffer) - _LONGEST)
        self._buffer += chunk
        while (begin := self._buffer.find(self._mark, searched)) >= 0:
            searched = begin + len(self._mark)
            end = self._buffer.find(b"\n", searched, searched + _LONGEST) + 1
            program = _ENDS.get(bytes(self._buffer[searched:end]))
            if program is not None:
                self.marked = True
                self.program = program
                self._tell(bytes(self._buffer[:begin]))
                return self._take(end)
        if self._is_frame():
            return self._take(0)
        if len(self._buffer) > self._limit + _LONGEST:
            self._tell(bytes(self._buffer))
            raise Problem(
                NOT_SUPPORTED,
                f"more than {self._limit} bytes (host_noise_bytes) came before its bridge spoke, the first line"
                f" {self.first_line!r}: login scripts that print, or a command that is no bridge",
            )
        return None

    def end(self) -> None:
        """Nothing more comes: what there is was noise."""
        self._tell(bytes(self._buffer))
        self._buffer.clear()

    def _is_frame(self) -> bool:
        head = _INIT.match(self._buffer)
        return head is not None and len(self._buffer) >= head.end(1) + 1 + int(head[1])

    def _tell(self, noise: bytes) -> None:
        self.nbytes = len(noise)
        self.first_line = noise.lstrip().partition(b"\n")[0][:_SHOWN].decode("utf-8", "backslashreplace").rstrip()

    def _take(self, begin: int) -> bytes:
        rest = bytes(self._buffer[begin:])
        self._buffer.clear()
        return rest
