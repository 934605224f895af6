"""Payload `fsreplace1`: the new content of a file (docs/files.md, "fsreplace1").

What has come while a thread was writing goes to the next one, all of it in one piece of work.
"""

import contextlib
from typing import Any, Final

import anyio.lowlevel
import msgspec
from anyio import CancelScope

from spanbridge.protocol.frames import Buffer, Span
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.jobs import Jobs
from ..served.options import Options
from .commit import Locks, commit, problem_at, remove
from .intake import Intake
from .new_file import NewFile
from .shared import end_later
from .wish import Wish, look_up, read_wish

_PIPE_FROM: Final = 256 << 10  # bytes, from which on it is worth a pipe
_LARGE_MESSAGE: Final = 32 << 10


def fsreplace(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    return channel.serve(Replacement(channel, services, read_wish(options)))


def _locks(services: Services) -> Locks:
    return Locks()


class Replacement:
    """One channel. Its task owns the new file, and outlives the channel once `done` has come."""

    def __init__(self, channel: Channel, services: Services, wish: Wish) -> None:
        self._channel = channel
        self._services = services
        self._jobs = services.once(Jobs)
        self._locks = services.once(_locks)
        self._wish = wish
        self._new: NewFile | None = None
        self._pieces: list[Buffer] = []  # that wait to be written
        self._waiting = 0  # bytes of them
        self._largest = 0  # bytes of one message
        self._intake: Intake | None = None  # where later ones go
        self._begun = False  # whether there is content at all, be it empty
        self._done = False
        self._news = anyio.Event()
        self._over = anyio.Event()  # all is done, and what has to go is gone
        self._scope = CancelScope()
        services.tasks.start_soon(self._work)

    # For the channel (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        self._begun = True
        if self._intake is not None:
            self._intake.writer.put(data)
            return
        if isinstance(data, list):
            self._pieces += data
        else:
            self._pieces.append(data)
        self._waiting += nbytes
        self._largest = max(self._largest, nbytes)
        self._news.set()

    def done(self) -> None:
        self._done = True
        self._services.outlast(self._over)
        self._news.set()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Ignored, as everything that a payload does not know."""

    def end(self) -> None:
        # `done` has been said: what was asked for is done, unless something is said to be wrong.
        if not self._done or self._channel.problem is not None:
            self._scope.cancel()
            if self._new is not None and self._new.hidden is not None:
                self._services.outlast(self._over)  # its name has to go

    # The work

    async def _work(self) -> None:
        channel = self._channel
        try:
            with self._scope:
                await self._prepare()
                channel.ready()
                await self._write()
                tag = await self._commit()
                channel.done()
                channel.close(tag=tag)
        except Problem as problem:
            channel.close(problem)
        except OSError as error:
            channel.close(problem_at(error, self._wish.path))
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
            self._services.context.log.unforeseen("payload fsreplace1", error)
            channel.close(Problem(INTERNAL_ERROR, "fsreplace1: a mistake within the bridge"))
        finally:
            if self._new is None or not self._new.shared.tell_when_gone(self._gone):
                self._over.set()
            if self._new is not None:
                end_later(self._services, self._new.shared)

    def _gone(self) -> None:
        """In a thread."""
        with contextlib.suppress(RuntimeError):  # the session is over: it could not wait so long
            self._services.context.loop.call_soon_threadsafe(self._over.set)

    async def _prepare(self) -> None:
        """What has to be found out before `ready`."""
        wish = self._wish
        if wish.attributes.named:
            attributes = await self._jobs.run(look_up, wish.attributes)
            self._wish = msgspec.structs.replace(wish, attributes=attributes)
        if wish.size is not None:
            self._begun = True
            await self._make()
            await self._jobs.run(self._file.allocate, wish.size)

    async def _make(self) -> None:
        self._new = await self._jobs.run(NewFile, self._wish.path, dispose=_let_go)

    @property
    def _file(self) -> NewFile:
        if self._new is None:
            raise RuntimeError("content without a file")
        return self._new

    async def _write(self) -> None:
        """Write what comes until all has come."""
        while self._pieces or not self._done:
            if self._begun and self._new is None:
                await self._make()
            if self._pieces:
                pieces, waiting = self._pieces, self._waiting
                self._pieces, self._waiting = [], 0
                await self._jobs.run(self._file.write, pieces)
                del pieces
                self._taken(waiting)
                if self._is_worth_a_pipe():
                    await self._pour()
            elif not self._done:
                self._news = anyio.Event()
                await self._news.wait()

    def _taken(self, nbytes: int) -> None:
        if self._channel.open:
            self._channel.taken(nbytes)

    def _is_worth_a_pipe(self) -> bool:
        """For much data in large messages: small ones are read anyhow."""
        return not self._done and self._file.written >= _PIPE_FROM and self._largest >= _LARGE_MESSAGE

    async def _pour(self) -> None:
        """The same by way of a pipe, for all that comes from here on."""
        try:
            intake = Intake(self._services.context, self._services.front, self._file, self._on_news)
        except OSError:  # no descriptors: it goes on as it did
            self._largest = 0
            return
        self._intake = intake
        try:
            intake.writer.put(self._pieces)
            self._pieces, self._waiting = [], 0
            self._channel.outlet = intake.writer
            while intake.waiting or not self._done:
                if intake.readable:
                    self._taken(await self._jobs.run(self._file.move_in))
                else:
                    self._news = anyio.Event()
                    intake.listen()
                    await self._news.wait()
        finally:
            self._channel.outlet = None
            intake.close()

    def _on_news(self) -> None:
        self._news.set()

    async def _commit(self) -> str:
        await anyio.lowlevel.checkpoint_if_cancelled()
        if not self._begun:
            return await self._jobs.run(remove, self._wish, self._locks)
        if self._new is None:
            await self._make()
        return await self._jobs.run(commit, self._file, self._wish, self._locks)


def _let_go(new: NewFile) -> None:
    new.shared.end()
