"""What a helper was given and had not read when it ended, taken back (docs/protocol.md, "Helpers").

A pipe keeps its bytes as long as it has a writer, and whoever has one end of it can open the other one. Where in the
stream they lie is known: as many were written, as many are left. So an open that lies there whole was never read, and
from its beginning on the rest is whole frames.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping

from spanbridge.protocol.control import read_head
from spanbridge.protocol.frames import Span, control_payload, join

from .opening import Handed, Opening


class Unread:
    """The unread end of one helper's stream. Where more than `most` bytes could not be written nothing is given
    back."""

    __slots__ = ("_begin", "_left", "_lost", "_most", "lost_bytes")

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin = -1  # where what was read back begins in the stream; below 0: nothing was
        self._left = b""
        self._lost: list[bytes] = []  # what comes after that: it could not be written any more
        self.lost_bytes = 0  # what could not be written, given back or not

    def add(self, data: Span) -> None:
        """What cannot be written any more, since the helper has hung up."""
        self.lost_bytes += sum(map(len, data)) if isinstance(data, list) else len(data)
        if self.lost_bytes > self._most:
            self._lost.clear()
        else:
            self._lost.append(bytes(join(data)))

    def read_back(self, fd: int, written: int) -> None:
        """Read what is left in the pipe that `fd` writes to, which has been given `written` bytes. Once; no other
        process reads it any more."""
        if self._begin >= 0 or fd < 0:
            return
        with contextlib.suppress(OSError):  # no /proc: then nothing is given back
            other_end = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._left = os.read(other_end, fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ))  # all of it at once
            except BlockingIOError:
                pass  # it is empty
            finally:
                os.close(other_end)
            self._begin = written - len(self._left)

    def opens(self, unheard: Mapping[bytes, Handed]) -> list[Opening]:
        """Those that were not read, with what came after them for their channels. `unheard`: by channel the opens that
        the helper has said nothing of, in order."""
        if self._begin < 0 or self.lost_bytes > self._most:
            return []
        unread = {ident: handed for ident, handed in unheard.items() if handed.place >= self._begin}
        if not unread:
            return []
        first = next(iter(unread.values())).place
        begun: dict[bytes, Opening] = {}
        stream = b"".join((self._left, *self._lost))
        for at, ident, command, frame in _frames(stream, first - self._begin):
            if ident in begun:
                begun[ident].add(command, frame)
            elif ident in unread and unread[ident].place == self._begin + at:
                begun[ident] = unread[ident].found(ident, frame)
        return list(begun.values())


def _frames(stream: bytes, at: int) -> Iterator[tuple[int, bytes, str | None, bytes]]:
    """Where each frame from `at` on begins, its channel, the command of a control message, and the whole of it."""
    while at < len(stream):
        body = stream.index(b"\n", at) + 1
        stop = body + int(stream[at : body - 1])
        frame = stream[at:stop]
        ident = stream[body : stream.index(b"\n", body)]
        if ident:
            yield at, ident, None, frame
        else:
            command, channel = read_head(control_payload(frame))
            yield at, (channel or "").encode(), command, frame
        at = stop
