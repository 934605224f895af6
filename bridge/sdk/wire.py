"""The two descriptors between a helper and its bridge."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import Final, Protocol

import anyio

from . import aside
from .errors import BridgeGone, ProtocolError

_EXPECTED: Final = "expected a pipe as stdin and one as stdout"


class Wire(Protocol):
    """What a helper reads and writes: bytes both ways."""

    async def read(self, most: int) -> bytes:
        """At least one byte and at most `most`; nothing at the end."""

    async def write(self, data: bytes) -> None:
        """All of `data`. Raises BridgeGone."""


class Descriptors:
    """A Wire of two descriptors, which stay the caller's."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink

    async def read(self, most: int) -> bytes:
        if os.get_blocking(self._source):
            await _wait_readable(self._source)
        while True:
            try:
                return os.read(self._source, most)
            except BlockingIOError:
                await anyio.wait_readable(self._source)
            except ConnectionResetError:
                return b""

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._sink, left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sink)
            except (BrokenPipeError, ConnectionResetError):
                raise BridgeGone from None


async def _wait_readable(fd: int) -> None:
    with contextlib.suppress(PermissionError):  # what epoll says of a regular file, which can always be read
        await anyio.wait_readable(fd)


@contextlib.contextmanager
def taken_stdio() -> Iterator[Descriptors]:
    """Our stdin and stdout as a wire, out of the way of everything else in this process. Leaving it closes them.

    From then on, for good, fd 1 leads to stderr: what is printed, here or by a child or a C library or at exit, goes to
    the bridge's log and not between the frames. fd 0 is /dev/null: no child reads our frames. Raises ProtocolError
    where there are no such two.
    """
    # Where one was closed its number may be somebody else's by now, the event loop's for instance.
    if sys.__stdin__ is None or sys.__stdout__ is None:
        raise ProtocolError(f"{_EXPECTED}: found none")
    with contextlib.ExitStack() as stack:
        try:
            source, sink = (stack.enter_context(_unblocked(fd)) for fd in (0, aside.sink()))
            aside.done_with()
            _lead_nowhere(0)
            aside.lead_to_stderr()
        except OSError as error:
            raise ProtocolError(f"{_EXPECTED}: {error.strerror}") from None
        yield Descriptors(source, sink)


@contextlib.contextmanager
def _unblocked(fd: int) -> Iterator[int]:
    """A descriptor that leads to the same place and, where that can be had, never blocks.

    O_NONBLOCK belongs to the open file, which others may share: a shell, the other programs of a pipeline. A pipe can
    be opened anew. Of a socket nobody else has our end. A terminal, or a file, stays as it is.
    """
    kind = os.fstat(fd).st_mode
    own = -1
    if stat.S_ISFIFO(kind):
        with contextlib.suppress(OSError):  # another user's pipe, or no /proc
            flags = os.O_WRONLY if fd else os.O_RDONLY
            own = os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if own < 0:
        own = os.dup(fd)
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            os.set_blocking(own, False)
    try:
        yield own
    finally:
        os.close(own)


def _lead_nowhere(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nowhere, fd)
    os.close(nowhere)
