"""What comes on the stdout of ssh before the bridge over there speaks: noise of login scripts, and a line of ours."""

import re
from typing import Final

from spanbridge.protocol.problems import NOT_SUPPORTED, Problem

_INIT: Final = re.compile(rb"([1-9][0-9]{0,7})\n\n\{")
_SHOWN: Final = 200  # bytes of a line of noise


class Noise:
    """Reads until the line `mark`. A stream that begins with a whole control frame has none (a forced command)."""

    __slots__ = ("_buffer", "_limit", "_mark", "first_line", "marked", "nbytes")

    def __init__(self, mark: str, limit: int) -> None:
        """`limit`: bytes of noise that are borne."""
        self._mark = mark.encode() + b"\n"
        self._limit = limit
        self._buffer = bytearray()
        self.marked = False  # the line has come: the far login shell runs what it was told to
        self.nbytes = 0  # of noise, once it is over
        self.first_line = ""  # of it

    def feed(self, chunk: bytes) -> bytes | None:
        """What of the bytes so far is the bridge's; None while it has not begun to speak.

        Raises Problem (`not-supported`) where the noise has no end.
        """
        searched = max(0, len(self._buffer) - len(self._mark))
        self._buffer += chunk
        found = self._buffer.find(self._mark, searched)
        if found >= 0:
            self.marked = True
            self._tell(bytes(self._buffer[:found]))
            return self._take(found + len(self._mark))
        if self._is_frame():
            return self._take(0)
        if len(self._buffer) > self._limit + len(self._mark):
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
