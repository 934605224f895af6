"""A large file on its way to the front end: a thread pumps it into a pipe, the event loop takes it from there."""

from typing import Final

import anyio

from .asked import Asked
from .open_file import OpenFile
from .pipe import Pipe
from .pump import Pump
from .shared import end_later

_COPIED: Final = 2 << 20  # more than lies between us and a front end: its pipe, or the buffer of its socket
_MESSAGES: Final = 8  # sent in one turn, before the others have theirs


class Stream:
    """Of one channel. It owns the file."""

    def __init__(self, asked: Asked, file: OpenFile, limit: int | None) -> None:
        self._asked = asked
        self._channel = asked.channel
        self._file = file
        try:
            self._pipe = Pipe(asked.services.context, self._pour)
        except OSError:
            end_later(asked.services, file.shared)
            raise
        file.owns(self._pipe.writing)
        self._pump = Pump(file, self._pipe.writing, limit=limit, copied=_COPIED if asked.channel.raw else 0)
        self._sent = 0  # bytes taken out of the pipe
        self._emptied = anyio.Event()

    async def run(self) -> None:
        """Until all is sent and the file found unchanged. Raises OSError, Problem."""
        try:
            await self._send()
        finally:
            self._pipe.close()
            end_later(self._asked.services, self._file.shared)

    async def _send(self) -> None:
        pump, jobs = self._pump, self._asked.jobs
        while not pump.ended:
            moved = await jobs.run(pump.run)
            if not pump.ended:
                await self._taken(moved - self._pipe.size // 2)
        await self._taken(pump.moved)
        await self._asked.turn()
        await jobs.run(self._check)

    def _check(self) -> None:
        with self._file.shared.using():
            self._file.check_unchanged()

    async def _taken(self, count: int) -> None:
        """Wait until so many bytes are out of the pipe."""
        while self._sent < count:
            self._emptied = anyio.Event()
            await self._emptied.wait()

    def _pour(self) -> None:
        """What is in the pipe goes to the front end, as far as that takes it."""
        self._asked.services.context.flusher.turn(self._channel.guard, self._pour_some)

    def _pour_some(self) -> None:
        channel, pipe = self._channel, self._pipe
        for _ in range(_MESSAGES):
            if not channel.may_send(pipe.go_on):
                pipe.pause()
                break
            count = self._pump.moved - self._sent
            if count <= 0 and not (count := pipe.readable):  # the thread has not said yet what it moved
                break
            if channel.raw:
                self._sent += pipe.move(channel, count)
            else:
                data = pipe.read(min(channel.room, count))
                channel.send(data)
                self._sent += len(data)
        self._emptied.set()
        if self._pump.moved - self._sent <= pipe.size // 2:
            self._pump.go_on()
