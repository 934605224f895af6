"""What the front end sends, on its way into a new file: the kernel moves it through a pipe, unread.

The event loop fills the pipe (Channel.outlet), a thread empties it into the file.
"""

import os
from collections.abc import Callable

from ...wire.context import Context
from ...wire.source import Source
from ...wire.train import HALF_BYTES
from ...wire.writer import Writer
from ..front_end import FrontEnd
from ..served.moment import Moment
from .new_file import NewFile


class Intake:
    """Of one channel. `on_news` is called, once after each `listen`, when there is something in the pipe.

    Raises OSError where there can be no pipe.
    """

    __slots__ = ("_context", "_listening", "_moment", "_on_news", "_source", "writer")

    def __init__(self, context: Context, front: FrontEnd, file: NewFile, on_news: Callable[[], None]) -> None:
        self._context = context
        self._moment = Moment(context, front)
        self._on_news = on_news
        self._listening = False
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        file.take_pipe(reading)
        self._source = Source(reading)
        self.writer = Writer(
            context.loop,
            context.poller,
            context.flusher,
            context.budget,
            writing,
            high_water=HALF_BYTES,
            on_broken=_broken,
            on_full=self._moment.full,
            on_room=self._moment.room,
            on_taken=self._moment.taken,
        )

    @property
    def waiting(self) -> int:
        """Bytes that are not in the file yet."""
        return self.writer.queued + self._source.readable

    @property
    def readable(self) -> int:
        """Those that a thread may take now."""
        return self._source.readable

    def listen(self) -> None:
        if not self._listening:
            self._listening = True
            self._context.poller.watch_read(self._source.fd, self._readable)

    def close(self) -> None:
        """Let go of all but the end that the file has."""
        self._ignore()
        self._moment.room()
        self.writer.close()

    def _ignore(self) -> None:
        if self._listening:
            self._listening = False
            self._context.poller.watch_read(self._source.fd, None)

    def _readable(self) -> None:
        self._ignore()
        self._on_news()


def _broken(reason: str) -> None:
    """The file has gone, and with it the other end: whoever let go of that knows why."""
