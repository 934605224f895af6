"""Payload `fsread1`: the content of a file (docs/files.md, "fsread1")."""

import os
from typing import Any, Final, NamedTuple

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..base import Port, Services
from ..served.channel import MESSAGE_BYTES, Channel
from ..served.jobs import Job, Jobs
from ..served.options import Options
from .asked import Asked
from .beginnings import Beginnings
from .errors import problem_of
from .open_file import OpenFile
from .paths import path_option
from .pump import too_large
from .stream import Stream
from .tag import NO_FILE, tag_of

LARGEST: Final = 16 << 20
"""Default of `max_read_size`."""

_UNLIMITED: Final = -1
_WHOLE: Final = MESSAGE_BYTES  # what is read in one go, with the opening


def fsread(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    path = path_option(options)
    limit = options.integer("max_read_size", LARGEST, least=_UNLIMITED)
    reading = Reading(channel, services, path, None if limit == _UNLIMITED else limit)
    return channel.serve(reading)


class _Whole(NamedTuple):
    """All of a small file, read and closed."""

    found: os.stat_result
    size: int | None
    data: bytes


class Reading:
    """One channel, until the file is open. All of a small file is read then: that takes one thread, and no task."""

    __slots__ = ("_channel", "_job", "_jobs", "_limit", "_path", "_services", "_whole")

    def __init__(self, channel: Channel, services: Services, path: bytes, limit: int | None) -> None:
        self._channel = channel
        self._services = services
        self._path = path
        self._limit = limit
        self._jobs = services.once(Jobs)
        self._whole: _Whole
        channel.ignores_done = True
        self._job: Job | None = None
        # Guarded: it may be the task of a watch that calls it later, and others wait for the same watch.
        services.once(Beginnings).after(path, lambda: channel.guard(self._start))

    def _start(self) -> None:
        if self._channel.open:
            path, limit = self._path, self._limit
            self._job = self._jobs.submit(lambda: _begin(path, limit), self._returned, _let_go)

    def _returned(self, begun: Any, error: BaseException | None) -> None:
        self._channel.guard(self._begun, begun, error)

    def _begun(self, begun: OpenFile | _Whole, error: BaseException | None) -> None:
        channel = self._channel
        if error is not None:
            self._refuse(error)
        elif isinstance(begun, _Whole):
            self._ready(begun.size)
            self._whole = begun
            self._send()
        else:
            self._ready(begun.known_size)
            file, limit = begun, self._limit

            async def answer(asked: Asked) -> None:
                await Stream(asked, file, limit).run()
                _finish(channel, file.found)

            channel.serve(Asked(channel, self._services, self._path, answer))

    def _ready(self, size: int | None) -> None:
        if self._channel.raw and size is not None:
            self._channel.ready(size_hint=size)
        else:
            self._channel.ready()

    def _refuse(self, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError):
            self._channel.close(tag=NO_FILE)
        elif isinstance(error, Problem):
            self._channel.close(error)
        elif isinstance(error, OSError):
            self._channel.close(problem_of(error, self._path))
        else:
            raise error

    def _send(self) -> None:
        channel, whole = self._channel, self._whole
        data = whole.data
        while channel.may_send(self._send):
            room = channel.room
            channel.send(data[:room])
            data = data[room:]
            if not data:
                _finish(channel, whole.found)
                return
            self._whole = whole._replace(data=data)  # a window that is smaller than the file

    # For the channel (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        raise Problem(PROTOCOL_ERROR, f"{self._channel.kind}: it takes no data")

    def done(self) -> None:
        """Ignored."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Ignored, as everything that a payload does not know."""

    def end(self) -> None:
        if self._job is not None:
            self._jobs.abandon(self._job)


def _finish(channel: Channel, found: os.stat_result) -> None:
    channel.done()
    channel.close(tag=tag_of(found))


def _begin(path: bytes, limit: int | None) -> OpenFile | _Whole:
    """Open the file and, if it is small, read it. Raises OSError, Problem."""
    file = OpenFile(path)
    try:
        size = file.known_size
        if limit is not None and size is not None and size > limit:
            raise too_large(path)
        if size is not None and size > _WHOLE:
            return file
        data = _read_up_to(file.fd, _WHOLE + 1 if size is None else size)
        if limit is not None and len(data) > limit:
            raise too_large(path)
        if len(data) > _WHOLE:
            file.head = data
            return file
        file.check_unchanged()
    except BaseException:
        file.shared.end()
        raise
    file.shared.end()
    return _Whole(file.found, size, data)


def _let_go(begun: OpenFile | _Whole) -> None:
    if isinstance(begun, OpenFile):
        begun.shared.end()


def _read_up_to(fd: int, most: int) -> bytes:
    data = os.read(fd, most)
    if len(data) == most:
        return data
    pieces = [data]
    while data and most > len(data):
        most -= len(data)
        data = os.read(fd, most)
        pieces.append(data)
    return b"".join(pieces)
