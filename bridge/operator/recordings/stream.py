"""One end of a pipe, a socket or a terminal, read and written without ever waiting.

A descriptor that we were given is shared with others, who must not find it non-blocking. A socket can be told at each
call not to wait (recv(2), MSG_DONTWAIT); a pipe is opened a second time, for ourselves; else no more is written
at once than poll(2) promises room for.
"""

import array
import contextlib
import os
import select
import socket
import stat
from typing import Final

CHUNK_BYTES: Final = 65_536
DESCRIPTORS: Final = 253  # the most that one message can carry (unix(7))

_SPACE: Final = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)


class Stream:
    """Reads or writes `fd`, and takes it over: `close` puts /dev/null in its place where it is 0, 1 or 2."""

    __slots__ = ("_most", "_own", "_side", "_socket", "fd")

    def __init__(self, fd: int, *, writes: bool = False) -> None:
        self.fd = fd
        self._own = -1
        self._side = socket.SHUT_WR if writes else socket.SHUT_RD
        self._most = CHUNK_BYTES
        mode = os.fstat(fd).st_mode
        self._socket = socket.socket(fileno=os.dup(fd)) if stat.S_ISSOCK(mode) else None
        if writes and self._socket is None and os.get_blocking(fd):
            self._most = select.PIPE_BUF
            if stat.S_ISFIFO(mode):
                self._reopen()

    def _reopen(self) -> None:
        try:
            self._own = os.open(f"/proc/self/fd/{self.fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # another user's; or nobody reads it
            return
        self._most = CHUNK_BYTES

    def read(self) -> tuple[bytes, list[int]]:
        """What there is, once poll(2) has told of something: b"" at the end. With it, descriptors that were passed."""
        if self._socket is None:
            return os.read(self.fd, CHUNK_BYTES), []
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        data, messages, _, _ = self._socket.recvmsg(CHUNK_BYTES, _SPACE, flags)
        passed = array.array("i")
        for level, kind, content in messages:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                passed.frombytes(content[: len(content) - len(content) % passed.itemsize])
        return data, list(passed)

    def write(self, data: bytes | memoryview, descriptors: list[int]) -> int:
        """Write what there is room for; the number of bytes, 0 while there is none. Raises OSError."""
        try:
            if self._socket is None:
                return os.write(self.fd if self._own < 0 else self._own, data[: self._most])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
            return self._socket.sendmsg([data], rights, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Let go of it. The other side is told that no more will be written, or read, even where it is one socket."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is over already
                self._socket.shutdown(self._side)
            self._socket.close()
        if self._own >= 0:
            os.close(self._own)
        if self.fd <= 2:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, self.fd)
            os.close(null)
        else:
            os.close(self.fd)
