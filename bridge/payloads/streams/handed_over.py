"""A descriptor that came over D-Bus as a channel: a pipe, a socket, a terminal or a file, as it is open (docs/dbus.md,
"Descriptors")."""

import fcntl
import os
import stat
from typing import Any, Final

import anyio
from anyio import CancelScope

from spanbridge.protocol.frames import Span, join
from spanbridge.protocol.problems import DISCONNECTED, INTERNAL_ERROR, NOT_FOUND, PROTOCOL_ERROR, Problem

from ...wire.writer import Writer
from ..base import Services
from ..bus.descriptors import Descriptors
from ..bus.stream import close_all
from ..files.shared import Shared, end_later
from ..served.channel import Channel
from ..served.jobs import Jobs
from ..served.payload import Payload
from .input import input_to
from .output import Output

_FILE_BYTES: Final = 64 << 10


def hand_over(channel: Channel, services: Services, ident: str, batch: int, latency: int) -> Payload:
    """Serve the descriptor of this id. Raises Problem (`not-found`)."""
    fd = services.once(Descriptors).take(ident)
    if fd is None:
        raise Problem(NOT_FOUND, "stream: no descriptor with this id, or not any more")
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        reads, writes = mode in (os.O_RDONLY, os.O_RDWR), mode in (os.O_WRONLY, os.O_RDWR)
        if stat.S_ISREG(os.fstat(fd).st_mode) or not _can_be_waited_for(fd, services):
            return _File(channel, services, fd, reads, writes)
        return _Stream(channel, services, fd, reads, writes, batch, latency)
    except OSError as error:  # no more descriptors
        close_all((fd,))
        raise Problem(INTERNAL_ERROR, f"{channel.kind}: {error.strerror}") from None
    except Problem:  # no threads
        close_all((fd,))
        raise


def _can_be_waited_for(fd: int, services: Services) -> bool:
    """epoll refuses what is always ready, such as directories and /dev/null."""
    poller = services.context.poller
    try:
        poller.watch_read(fd, lambda: None)
    except PermissionError:
        return False
    poller.watch_read(fd, None)
    return True


def _lacks(channel: Channel) -> Problem:
    return Problem(PROTOCOL_ERROR, f"{channel.kind}: the descriptor is open for reading alone")


class _Stream:
    """One that can be waited for."""

    def __init__(
        self, channel: Channel, services: Services, fd: int, reads: bool, writes: bool, batch: int, latency: int
    ) -> None:
        context = services.context
        self._channel = channel
        self._loop = context.loop
        self._input: Writer | None = None
        self._output: Output | None = None
        self._lost: str | None = None  # why nothing more can be written
        os.set_blocking(fd, False)
        if writes:
            self._input = input_to(channel, context, os.dup(fd), self._broken_later)
        channel.ready()
        if reads:
            self._output = Output(context, channel, fd, self._ended, batch=batch, latency=latency)
            self._output.start()
        else:
            os.close(fd)

    def data(self, data: Span, nbytes: int) -> None:
        if self._input is None:
            raise _lacks(self._channel)
        if nbytes and self._lost is None:
            self._input.put(data)
        else:
            self._channel.taken(nbytes)

    def done(self) -> None:
        if self._input is not None:
            self._input.when_empty(self._close_input)

    def command(self, command: str, message: dict[str, Any]) -> None:
        """None is known."""

    def end(self) -> None:
        if self._output is not None:
            self._output.close()
        if self._input is not None:
            writer, self._input = self._input, None
            writer.close()

    def _close_input(self) -> None:
        if self._lost is not None:  # not all was taken
            return
        if self._input is not None:
            writer, self._input = self._input, None
            self._channel.outlet = None
            writer.close()
        if self._output is None:
            self._channel.done()
            self._channel.close()

    def _broken_later(self, reason: str) -> None:
        """Not at once: what it had said goes out first."""
        self._lost = reason
        self._loop.call_soon(self._broken, reason)

    def _broken(self, reason: str) -> None:
        if self._output is None:
            self._channel.close(Problem(DISCONNECTED, f"{self._channel.kind}: {reason}"))
        else:
            self._channel.take_all()  # what is still said is read

    def _ended(self, error: OSError | None) -> None:
        self._output = None
        lost = self._lost if error is None else error.strerror
        if lost is not None:
            self._channel.close(Problem(DISCONNECTED, f"{self._channel.kind}: {lost}"))
            return
        self._channel.done()
        if self._input is None:
            self._channel.close()
        else:
            self._input.when_empty(self._close_input)


class _File:
    """A file, which is read and written in threads: nothing tells when its disk is ready."""

    def __init__(self, channel: Channel, services: Services, fd: int, reads: bool, writes: bool) -> None:
        self._channel = channel
        self._services = services
        self._jobs = services.once(Jobs)
        self._fd = fd
        self._shared = Shared(lambda: os.close(fd))
        self._writes = writes
        self._pieces: list[tuple[bytes, int]] = []
        self._came = anyio.Event()
        self._over = False
        self._scope = CancelScope()
        channel.ready()
        services.tasks.start_soon(self._run, reads)

    def data(self, data: Span, nbytes: int) -> None:
        if not self._writes:
            raise _lacks(self._channel)
        self._pieces.append((bytes(join(data)), nbytes))
        self._came.set()

    def done(self) -> None:
        self._over = True
        self._came.set()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """None is known."""

    def end(self) -> None:
        self._scope.cancel()

    async def _run(self, reads: bool) -> None:
        with self._scope:
            try:
                if reads:
                    await self._read()
                self._channel.done()
                if self._writes:
                    await self._write()
                self._channel.close()
            except OSError as error:
                self._channel.close(Problem(INTERNAL_ERROR, f"{self._channel.kind}: {error.strerror}"))
            except Problem as problem:
                self._channel.close(problem)
        end_later(self._services, self._shared)

    async def _read(self) -> None:
        while data := await self._do(os.read, self._channel.room or _FILE_BYTES):
            again = anyio.Event()
            while not self._channel.may_send(again.set):
                await again.wait()
                again = anyio.Event()
            self._channel.send(data)

    async def _write(self) -> None:
        while True:
            while self._pieces:
                data, nbytes = self._pieces.pop(0)
                while data:
                    data = data[await self._do(os.write, data) :]
                self._channel.taken(nbytes)
            if self._over:
                return
            self._came = anyio.Event()
            await self._came.wait()

    async def _do(self, call: Any, what: Any) -> Any:
        """In a thread: one that is abandoned may use the descriptor when the channel is long over."""

        def work() -> Any:
            with self._shared.using():
                return call(self._fd, what)

        return await self._jobs.run(work)
