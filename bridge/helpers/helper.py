"""One helper: a child process that speaks the protocol, from spawn to reap (docs/protocol.md, "Helpers").

Where it stands is in its `Life`, what it says goes to its `Dialogue`, which channels it has is in its `Roster`, what it
does not keep up with is measured by its `Congestion`. Here it comes into being, and ends.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import anyio
from anyio import CancelScope

from spanbridge.manifests.model import Rule
from spanbridge.protocol.control import VERSION, control
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, TIMEOUT, Problem

from ..wire.context import Context
from ..wire.deadline import Deadline
from ..wire.front import Front
from ..wire.link import Link
from ..wire.source import Source
from .attendant import Attendant, refuse
from .congestion import Congestion
from .dialogue import Dialogue
from .endings import DISMISSED, FAILED, SERVED, End, Refusal
from .launch import Launch
from .life import ENDING, GONE, READY, STARTING, Life
from .opening import Opening
from .process import Process, Running, SpawnError
from .roster import Roster
from .stderr import Stderr
from .stopping import stop
from .unread import Unread
from .way import Way

_SHOWN: Final = 4_000  # characters of a problem's message


class Table(Protocol):
    """The table of channels, as a helper sees it."""

    def adopted(self, opening: Opening, helper: "Helper") -> None:
        """An open that waited has been handed to the helper."""

    def closed(self, ident: bytes, frame: bytes) -> None:
        """The helper has closed a channel of its own."""

    def close_answered(self, helper: "Helper", ident: bytes, frame: bytes) -> None:
        """The helper has answered the front end's close."""


class Owner(Protocol):
    """Whoever has started the helper."""

    def ready(self, helper: "Helper") -> None:
        """It takes opens now; those that waited for it have been handed over."""

    def retired(self, helper: "Helper") -> None:
        """It is about to end, and is to have no more opens."""

    def idle(self, helper: "Helper") -> None:
        """Its last channel has gone."""

    def overdue(self, helper: "Helper", opening: Opening) -> bool:
        """It has not answered the close of an earlier channel of this id: True if another one has the open now."""

    def ended(self, helper: "Helper", problem: Problem, waiting: list[Opening], end: End) -> None:
        """It takes nothing more. `waiting` were not handed over."""


class Helper:
    """One process and the channels that it serves. `run` is its whole life.

    It has many attributes, since here its parts meet; of its own it keeps only how far its end has come.
    """

    kind = "helper"

    def __init__(
        self,
        context: Context,
        front: Front,
        table: Table,
        owner: Owner,
        launch: Launch,
        attendant: Attendant = refuse,
        way: Way | None = None,
    ) -> None:
        """`way`: it is not simply started, but there is more to its coming up."""
        limits = context.limits
        self.launch = launch
        self.made_at = context.loop.time()
        self.life = Life(self._moved)
        self.link: Link | None = None
        self.roster = Roster(
            context,
            put=self.put,
            place=self._place,
            adopted=lambda opening: table.adopted(opening, self),
            counted=lambda: self._congestion.waiting(self.roster.waiting_bytes),
            idle=lambda: owner.idle(self),
            give_away=lambda opening: owner.overdue(self, opening),
        )
        self.dialogue = Dialogue(context, front, self, attendant, privileged=launch.privileged)
        self._context = context
        self._front = front
        self._table = table
        self._owner = owner
        self._process: Running | None = None
        self._stderr: Stderr | None = None
        self._congestion = Congestion(
            context.loop, front, limits, context.log, launch.rule.name, on_stuck=self._takes_nothing
        )
        self._patience = Deadline(context.loop, self._says_nothing)  # until its `init`
        self._input_closed = Deadline(context.loop, self._reads_no_more)  # until it exits
        self._output_closed = asyncio.Event()
        self._finish_input = False  # nothing more will be put
        self._abandon = False  # its last words are of no interest
        self._way = way
        self._speaks = way is None  # what comes on its stdout is its own
        self._exited_early = asyncio.Event()  # it has exited, and its way is to say why
        self._unread = Unread(limits.helper_queue_bytes)
        self._left = -1  # bytes to be read still of one that has exited; below 0: not counted yet

    # What it is

    @property
    def rule(self) -> Rule:
        return self.launch.rule

    @property
    def name(self) -> str:
        return self.launch.name or self.launch.rule.name

    @property
    def argv(self) -> tuple[str, ...]:
        return self.launch.key[1].argv

    @property
    def state(self) -> str:
        return self.life.state

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def idle(self) -> bool:
        """Whether it may be stopped to make room."""
        return self.life.state == READY and not self.roster.channels and not self.launch.privileged

    @property
    def queued(self) -> int:
        """Bytes that wait for it."""
        return self.roster.waiting_bytes + (self.link.queued if self.link else 0)

    @property
    def bytes_in(self) -> int:
        """What was read of it."""
        return self.dialogue.heard

    def _moved(self, event: str, before: str, after: str) -> None:
        self._context.log.debug("helper", event, helper=self.name, pid=self.pid, state=after, was=before)

    # Its life

    async def run(self) -> None:
        """Start the process, serve until it ends or is ended, and reap it."""
        try:
            await self.life.reached(STARTING)
            if self._way is None and self.life.state == STARTING:
                expansion = self.launch.key[1]
                self._start(expansion.argv, self.launch.environ, expansion.directory)
            async with anyio.create_task_group() as tasks:
                if self._way is not None:
                    tasks.start_soon(self._come_up, self._way)
                tasks.start_soon(self._watch_output)
                await self.life.reached(ENDING)
                tasks.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs this helper, not the session
            self._context.log.unforeseen(f"helper {self.name}", error)
        finally:
            self.end(Problem(INTERNAL_ERROR, "given up for a mistake within the bridge"), abandon=True)
            with CancelScope(shield=True):
                await self._stop()
            self.dialogue.drop()
            self.life.move("reaped")

    async def _come_up(self, way: Way) -> None:
        """Come up on its way; where that fails, have it say why."""
        try:
            command = await way.prepare()
        except Problem as problem:
            self.end(problem)
            return
        self._start(command.argv, command.environ, None)
        if self._process is None:
            return
        way.started(self.pid)
        await self._exited_early.wait()
        self._patience.end()  # what is asked to find out why has a limit of its own
        self.end(await way.failure(self._process.status))

    def _start(self, argv: Sequence[str], environ: Mapping[str, str], directory: str | None) -> None:
        context, limits = self._context, self._context.limits
        try:
            process = self._process = self._spawn(argv, environ, directory)
        except SpawnError as error:
            self.end(Problem(INTERNAL_ERROR, f"cannot be started: {error}"))
            return
        self.link = Link(
            context.loop,
            context.poller,
            context.flusher,
            context.budget,
            process.stdout,
            process.stdin,
            read_bytes=limits.read_bytes,
            high_water=limits.helper_queue_bytes,
            on_chunk=self.dialogue.chunk if self._way is None else self._chunk,
            on_end=self._stdout_ended,
            on_broken=self._stdin_broken,
        )
        self.link.may_read = self._may_read
        self._congestion.watch(self.link)
        self.link.writer.on_lost = self._unread.add
        self._stderr = Stderr(context.loop, process.stderr, context.log, self.name, self.pid, limits.stderr_line_bytes)
        if self.launch.privileged:
            self._stderr.collected = []
        if self._way is not None:
            self._stderr.on_line = self._way.said
        self._patience.begin(self._seconds)
        self.link.resume()
        context.log.info("helper-started", helper=self.name, pid=self.pid, command=argv[0])

    def _spawn(self, argv: Sequence[str], environ: Mapping[str, str], directory: str | None) -> Running:
        """Raises SpawnError."""
        launch, context = self.launch, self._context
        if launch.begin is not None:
            return launch.begin(launch, self.go_on)
        return Process(
            argv,
            environ,
            directory,
            self.go_on,
            paired=launch.privileged,
            at_once=self._way is not None,
            watchdog=context.watchdog,
            children=context.children,
        )

    async def _watch_output(self) -> None:
        """A helper that closes its stdout has ended; wait a little for the exit status, so as to tell of it."""
        await self._output_closed.wait()
        if self._is_on_its_way:  # only its exit tells why; how long that may take is limited already
            await self.life.reached(ENDING)
            return
        with anyio.move_on_after(self._context.limits.last_words_seconds):
            await self.life.reached(ENDING)
        self.end(self.last_words("closed its output"))

    async def _stop(self) -> None:
        if self._process is None or self.link is None or self._stderr is None:
            return
        if self._abandon:
            self.link.close()
        else:
            self.finish_input()
        context = self._context
        await stop(
            self._process, self.link, self._stderr, context.limits, context.log, self.name, wait=not self._abandon
        )

    def finish_input(self) -> None:
        """Close its stdin as soon as all that waits for it has been written, which its `init` comes before."""
        self._finish_input = True
        if self.link is not None and self.life.state != STARTING:
            self._context.flusher.flush()
            self.link.when_empty(self.link.close_out)

    def close_input(self) -> None:
        """Wait no more for the `init` of one that is to finish."""
        if self.link is not None and self.life.state == STARTING:
            self.link.close_out()

    @property
    def _is_on_its_way(self) -> bool:
        """It has a way, and no `init` has come."""
        return self._way is not None and self.life.state == STARTING

    @property
    def _seconds(self) -> float:
        """How long its `init` may take."""
        return self._context.limits.handshake_seconds if self._way is None else self._way.seconds

    def _chunk(self, chunk: bytes) -> None:
        """What was read of one that has a way: at first that may be of others."""
        if not self._speaks and self._way is not None:
            try:
                rest = self._way.heard(chunk)
            except Problem as problem:
                self.end(problem, abandon=True)
                return
            if rest is None:
                return
            self._speaks = True
            chunk = rest
        if chunk:
            self.dialogue.chunk(chunk)

    # The end

    def kill(self) -> None:
        """End its process group at once; the rest follows from that."""
        if self._process is not None:
            self._process.signal_group(signal.SIGKILL)

    def end(self, problem: Problem, *, abandon: bool = False, dismissed: bool = False) -> None:
        """It takes nothing more: its channels are closed with `problem`, its process stopped.

        `abandon`: what it still writes is not read any more. `dismissed`: opens that wait for it are closed too.
        """
        if self.life.state in (ENDING, GONE):
            return
        end: End = DISMISSED if dismissed else SERVED if self.life.state == READY else FAILED
        self.life.move("end")
        self._abandon = abandon
        given_back = [] if abandon or dismissed or end != SERVED else self._given_back()
        waiting = [*self.roster.clear(), *given_back]
        for part in (self._patience, self._input_closed, self._congestion, self.dialogue):
            part.end()
        if self._way is not None:
            problem = self._way.explain(problem, served=end != FAILED)
        elif end == FAILED:
            pid = {"pid": self.pid} if self.pid else {}
            self._context.log.warning("helper-failed", helper=self.name, **pid, why=problem.message)
        if not isinstance(problem, Refusal):
            message = f"{self.name} ({self.argv[0][:_SHOWN]}): {problem.message}"
            problem = Problem(problem.code, message[:_SHOWN])
        self._owner.ended(self, problem, waiting, end)
        if self.link is not None and not abandon:
            self.link.resume()  # what it still says is read and thrown away, so that it can exit in peace

    def _given_back(self) -> list[Opening]:
        """Of one that has exited in order: the opens that it never read, but for those that come from another one."""
        process, link = self._process, self.link
        if process is None or link is None or not process.exited.is_set() or process.status or not self._may_give_back:
            return []
        self._unread.read_back(link.out_fd, link.written)
        opens = [opening for opening in self._unread.opens(self.roster.unheard.values()) if not opening.given_back]
        for opening in opens:
            opening.given_back = True
        if opens:
            self._context.log.info("opens-given-back", helper=self.name, pid=self.pid, opens=len(opens))
        return opens

    @property
    def _may_give_back(self) -> bool:
        """Whether another process can take its place."""
        return self._way is None and not self.launch.privileged

    def last_words(self, how: str, code: str = TERMINATED) -> Problem:
        """How it ended, with the last line of its stderr."""
        message = how
        if self._stderr is not None:
            self._stderr.drain()
            if self._stderr.last:
                message += f"; its last words on stderr: {self._stderr.last}"
        return Problem(code, message)

    def take_stderr(self) -> str:
        """What a privileged helper has said on stderr before `init`, since the last time it was taken."""
        if self._stderr is None:
            return ""
        self._stderr.drain()
        return self._stderr.take_collected()

    def go_on(self) -> None:
        """Read on. Of a process that has exited, read what is left, and end."""
        if self.link is None or self._process is None:
            return
        if not self._process.exited.is_set():
            self.link.resume()
            return
        if self.life.state not in (STARTING, READY) or not self._front.ready(self.go_on):
            return
        # What it had written is there. Somebody else may have its stdout still, and write without end.
        if self._left < 0:
            self._left = self.link.readable
        before = self.dialogue.heard
        more = self.link.drain()
        self._left -= self.dialogue.heard - before
        if not more or self._left <= 0:
            if self._is_on_its_way:
                self.last_words("")  # what is left of its stderr is read
                self._exited_early.set()
                return
            self.end(self.last_words(self._process.end))
        else:
            self._context.loop.call_soon(self.go_on)

    def _may_read(self) -> bool:
        if self.life.state != READY:  # nothing that it says goes on to the front end
            return True
        return self._front.ready(self.go_on)

    def _stdout_ended(self, reason: str | None) -> None:
        if self._process is not None and self._process.exited.is_set():
            self.go_on()
        else:
            self._output_closed.set()
            self._retire()
            self._congestion.end()
            if self.link is not None:
                if self._may_give_back:  # most that have closed it are exiting
                    self._unread.read_back(self.link.out_fd, self.link.written)
                    self.link.writer.lose_queue()
                self.link.close_out()

    def _retire(self) -> None:
        """It is about to end: the next open is for another one."""
        if self.life.state == READY:
            self._owner.retired(self)

    def _stdin_broken(self, reason: str) -> None:
        self._context.log.debug("helper", "stdin-broken", helper=self.name, pid=self.pid, why=reason)
        if self.link is not None and self.link.in_fd < 0:
            return
        self._retire()
        self._input_closed.begin(self._context.limits.last_words_seconds)

    def _reads_no_more(self) -> None:
        if self._process is not None and not self._process.exited.is_set() and not self._is_on_its_way:
            self.end(self.last_words("closed its input"))

    def _says_nothing(self) -> None:
        seconds = self._seconds
        name = "handshake_seconds" if self._way is None else "host_connect_seconds"
        self._context.log.limit(name, seconds, helper=self.name)
        self.end(self.last_words(f"sent no init within {seconds:g} s", TIMEOUT), abandon=True)

    def _takes_nothing(self) -> None:
        seconds = self._context.limits.stuck_seconds
        self._context.log.limit("stuck_seconds", seconds, helper=self.name)
        self.end(self.last_words(f"took nothing for {seconds:g} s while its queue was full", TIMEOUT), abandon=True)

    # Towards the helper (session.sink.Sink)

    def _place(self) -> int:
        """Where in its stream lies what is put next."""
        link = self.link
        return link.written + link.queued + self._unread.lost_bytes if link is not None else 0

    def put(self, data: Span) -> None:
        """Whole frames of its channels."""
        if self.link is not None:
            self.link.put(data)

    @property
    def takes(self) -> bool:
        """Whether what is put goes out at once."""
        return self.link is not None and self.link.takes

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        """A large frame of which `held` was read; the other `missing` bytes lie in `source`. As Writer.move."""
        return self.link.writer.move(held, source, missing) if self.link is not None else 0

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """A control message for one of its channels, any but `close`."""
        self.put(frame)

    def close(self, ident: bytes, frame: bytes) -> bool:
        """Close a channel; True: it may answer."""
        self.roster.close(ident, frame)
        return True

    def disconnect(self, ident: bytes, frame: bytes) -> bool:
        """The front end has gone. What it still says of the channel is of use: True."""
        self.put(frame)
        return True

    def take(self, opening: Opening) -> bool:
        """Serve a new channel. False where its open must wait."""
        return self.roster.take(opening, ready=self.life.state == READY)

    # From the helper (dialogue.Speaker)

    def greeted(self) -> None:
        """Its `init` has come: answer it, and hand over what waits."""
        self.life.move("init")
        self._patience.end()
        if self._stderr is not None:
            self._stderr.collected = None
        superuser = self.launch.superuser is not None and {"id": self.launch.superuser}
        self.put(control("init", version=VERSION, host=self.launch.host, superuser=superuser))
        self.roster.settle()
        self._owner.ready(self)
        if self._finish_input:
            self.finish_input()

    def asks(self, open_questions: int) -> None:
        """The time until its `init` is not counted while it waits for an answer."""
        if self.life.state == STARTING:
            if open_questions:
                self._patience.end()
            elif not self._patience.runs:
                self._patience.begin(self._seconds)

    def superuser_done(self) -> None:
        """The privileged bridge that it was to start has come up, or will not."""
        if self._way is not None:
            self._way.superuser_done()

    def closed(self, ident: bytes, frame: bytes) -> None:
        """It has closed a channel of its own."""
        self._table.closed(ident, frame)

    def close_answered(self, ident: bytes, frame: bytes) -> None:
        """It has answered the front end's close."""
        self._table.close_answered(self, ident, frame)
