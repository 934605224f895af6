"""What a helper has once it is started: its process, its streams, its stderr, and what it has not read."""

from collections.abc import Callable, Mapping

from ..wire.context import Context
from ..wire.link import Link
from .launch import Launch
from .opening import Handed, Opening
from .process import Process, Running
from .stderr import Stderr
from .stopping import stop
from .unread import Unread
from .way import Command


class Started:
    """It runs, or has ended and is not reaped yet: `stop` is due. The callbacks are those of Link."""

    __slots__ = ("_context", "_left", "_may_give_back", "_name", "_stderr", "_unread", "link", "process")

    def __init__(
        self,
        context: Context,
        launch: Launch,
        name: str,
        command: Command,
        on_exit: Callable[[], None],
        *,
        at_once: bool,
        on_chunk: Callable[[bytes], None],
        on_end: Callable[[str | None], None],
        on_broken: Callable[[str], None],
        may_read: Callable[[], bool],
    ) -> None:
        """`at_once`, as in Process: it has a way. Raises SpawnError."""
        limits = context.limits
        process = self.process = _spawn(context, launch, command, on_exit, at_once)
        self.link = Link(
            context.loop,
            context.poller,
            context.flusher,
            context.budget,
            process.stdout,
            process.stdin,
            read_bytes=limits.read_bytes,
            high_water=limits.helper_queue_bytes,
            on_chunk=on_chunk,
            on_end=on_end,
            on_broken=on_broken,
        )
        self.link.reader.may_read = may_read
        self._context = context
        self._name = name
        self._stderr = Stderr(context.loop, process.stderr, context.log, name, process.pid, limits.stderr_line_bytes)
        self._unread = Unread(limits.helper_queue_bytes)
        self.link.writer.on_lost = self._unread.add
        self._may_give_back = not at_once and not launch.privileged  # another process can take its place
        self._left = -1  # bytes to be read still of one that has exited; below 0: not counted yet

    @property
    def exited(self) -> bool:
        return self.process.exited.is_set()

    def place(self) -> int:
        """Where in its stdin lies what is put next."""
        writer = self.link.writer
        return writer.written + writer.queued + self._unread.lost_bytes

    async def stop(self, *, wait: bool) -> None:
        """End and reap it (stopping.py)."""
        context = self._context
        await stop(self.process, self.link, self._stderr, context.limits, context.log, self._name, wait=wait)

    # What it says on stderr

    def listen(self, on_line: Callable[[str], None]) -> None:
        """Have `on_line` told of each line."""
        self._stderr.on_line = on_line

    def collect(self, wanted: bool) -> None:
        """Whether lines are kept for `collected`, in place of the log."""
        self._stderr.collected = [] if wanted else None

    @property
    def collected(self) -> str:
        """What was kept since the last time."""
        self._stderr.drain()
        return self._stderr.take_collected()

    @property
    def last_line(self) -> str:
        """The last one that is not empty."""
        self._stderr.drain()
        return self._stderr.last

    # Of one that has exited, or is about to

    def read_on(self, heard: Callable[[], int]) -> bool:
        """Read what it had written; False once that was all, though somebody else may have its stdout still, and write
        without end. `heard`: how many bytes of it were read."""
        if self._left < 0:
            self._left = self.link.readable
        before = heard()
        more = self.link.drain()
        self._left -= heard() - before
        return more and self._left > 0

    def take_back(self) -> None:
        """What it has not read, and what waits for it: it has closed its stdin, or will."""
        if not self._may_give_back:
            return
        self._unread.read_back(self.link.out_fd, self.link.written)
        self.link.writer.lose_queue()

    def given_back(self, unheard: Mapping[bytes, Handed]) -> list[Opening]:
        """Where it has exited in order, the opens that it never read, but for those that come from another one;
        `unheard` as in Unread."""
        if not self._may_give_back or not self.exited or self.process.status:
            return []
        self._unread.read_back(self.link.out_fd, self.link.written)
        opens = [opening for opening in self._unread.opens(unheard) if not opening.given_back]
        for opening in opens:
            opening.given_back = True
        if opens:
            self._context.log.info("opens-given-back", helper=self._name, pid=self.process.pid, opens=len(opens))
        return opens


def _spawn(context: Context, launch: Launch, command: Command, on_exit: Callable[[], None], at_once: bool) -> Running:
    if launch.begin is not None:
        return launch.begin(launch, on_exit)
    return Process(
        command.argv,
        command.environ,
        command.directory,
        on_exit,
        paired=launch.privileged,
        at_once=at_once,
        watchdog=context.watchdog,
        children=context.children,
    )
