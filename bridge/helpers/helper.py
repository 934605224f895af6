"""One helper: a child process that speaks the protocol, from spawn to reap (docs/protocol.md, "Helpers").

Where it stands is in its `Life`, what it says goes to its `Dialogue`, which channels it has is in its `Roster`, what it
does not keep up with is measured by its `Congestion`. Here it comes into being, and ends.
"""

import signal

import anyio
from anyio import CancelScope

from spanbridge.manifests.model import Rule
from spanbridge.protocol.control import VERSION, control
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, TIMEOUT, Problem

from ..wire.context import Context
from ..wire.deadline import Deadline
from ..wire.directories import Directories
from ..wire.front import Front
from ..wire.link import Link
from ..wire.source import Source
from .arrival import Arrival
from .attendant import Attendant, refuse
from .congestion import Congestion
from .dialogue import Dialogue
from .endings import DISMISSED, FAILED, SERVED, End, Refusal, named
from .launch import Launch
from .life import ENDING, GONE, READY, STARTING, Life
from .opening import Opening
from .owner import Owner, Table
from .patience import Patience
from .process import Running, SpawnError
from .roster import Roster
from .started import Started
from .way import Command, Way


class Helper:
    """One process and the channels that it serves. `run` is its whole life.

    It has many attributes, since here its parts meet; of its own it keeps only how far its end has come.
    """

    kind = "helper"

    def __init__(
        self,
        context: Context,
        front: Front,
        table: "Table[Helper]",
        owner: "Owner[Helper]",
        launch: Launch,
        attendant: Attendant = refuse,
        way: Way | None = None,
        directories: Directories | None = None,
    ) -> None:
        """`way`: it is not simply started, but there is more to its coming up. `directories`: to be asked before it is
        started in one."""
        self.launch = launch
        self.made_at = context.loop.time()
        self.life = Life(self._moved)
        self.link: Link | None = None
        self.roster = Roster(
            context,
            put=self.put,
            adopted=lambda opening: table.adopted(opening, self),
            counted=lambda: self._congestion.waiting(self.roster.waiting_bytes),
            idle=self._has_no_channel,
            give_away=lambda opening: owner.overdue(self, opening),
            refuse=table.refuse,
        )
        self.dialogue = Dialogue(context, front, self, attendant, privileged=launch.privileged)
        self._context = context
        self._front = front
        self._table = table
        self._owner = owner
        self._started: Started | None = None
        self._congestion = Congestion(
            context.loop, front, context.limits, context.log, self.name, on_stuck=self._overdue
        )
        self._patience = Patience(context, self.name, way, self._overdue)
        self._input_closed = Deadline(context.loop, self._reads_no_more)  # until it exits
        self._output_closed = Deadline(context.loop, self._says_no_more)  # the same
        self._finish_input = False  # nothing more will be put
        self._abandon = False  # its last words are of no interest
        self._way = way
        self._directories = directories
        self._arrival = Arrival(way, self, self.dialogue.chunk) if way is not None else None

    # What it is

    @property
    def rule(self) -> Rule:
        return self.launch.rule

    @property
    def name(self) -> str:
        return self.launch.name or self.launch.rule.name

    @property
    def state(self) -> str:
        return self.life.state

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return self._started.process.pid if self._started else 0

    @property
    def idle(self) -> bool:
        """Whether it may be stopped to make room."""
        return self.life.state == READY and not self.roster.channels and not self.launch.privileged

    @property
    def queued(self) -> int:
        """Bytes that wait for it."""
        return self.roster.waiting_bytes + (self.link.queued if self.link else 0)

    def _moved(self, event: str, before: str, after: str) -> None:
        self._context.log.debug("helper", event, helper=self.name, pid=self.pid, state=after, was=before)

    # Its life

    async def run(self) -> None:
        """Start the process, serve until it ends or is ended, and reap it."""
        try:
            await self.life.reached(STARTING)
            expansion = self.launch.key[1]
            command = Command(expansion.argv, self.launch.environ, expansion.directory)
            if self._arrival is None and command.directory is None and self.life.state == STARTING:
                self.start(command)
            async with anyio.create_task_group() as tasks:
                if self._arrival is not None:
                    tasks.start_soon(self._arrival.come_up)
                elif command.directory is not None and self._directories is not None:
                    tasks.start_soon(self._start_in, command, command.directory, self._directories)
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

    async def _start_in(self, command: Command, directory: str, directories: Directories) -> None:
        """Start it, once its directory answers."""
        try:
            await self._patience.answered(directories, directory)
        except Problem as problem:
            self.end(Problem(problem.code, f"cannot be started: {problem.message}"))
        if self.life.state == STARTING:
            self.start(command)

    def start(self, command: Command) -> Running | None:
        """Start its process; None where that cannot be: then it has ended."""
        try:
            started = self._started = Started(
                self._context,
                self.launch,
                self.name,
                command,
                self.go_on,
                at_once=self._way is not None,
                on_chunk=self.dialogue.chunk if self._arrival is None else self._arrival.chunk,
                on_end=self._stdout_ended,
                on_broken=self._stdin_broken,
                may_read=self._may_read,
            )
        except SpawnError as error:
            self.end(Problem(INTERNAL_ERROR, f"cannot be started: {error}"))
            return None
        self.link = started.link
        self.roster.place = started.place
        self._congestion.watch(started.link)
        if self.launch.privileged:
            started.collect(True)
        if self._way is not None:
            started.listen(self._way.said)
        self._patience.started(runs=started.process.begun)
        started.process.on_begun = self._patience.begun
        started.link.resume()
        self._context.log.info("helper-started", helper=self.name, pid=self.pid, command=command.argv[0])
        return started.process

    async def _stop(self) -> None:
        if self._started is None:
            return
        if self._abandon:
            self._started.link.close()
        else:
            self.finish_input()
        await self._started.stop(wait=not self._abandon)

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

    # The end

    def kill(self) -> None:
        """End its process group at once; the rest follows from that."""
        if self._started is not None:
            self._started.process.signal_group(signal.SIGKILL)

    def end(self, problem: Problem, *, abandon: bool = False, dismissed: bool = False) -> None:
        """It takes nothing more: its channels are closed with `problem`, its process stopped.

        `abandon`: what it still writes is not read any more. `dismissed`: opens that wait for it are closed too.
        """
        if self.life.state in (ENDING, GONE):
            return
        end: End = DISMISSED if dismissed else SERVED if self.life.state == READY else FAILED
        self.life.move("end")
        self._abandon = abandon
        wanted = self._started if end == SERVED and not abandon else None
        given_back = wanted.given_back(self.roster.unheard) if wanted is not None else []
        waiting = [*self.roster.clear(), *given_back]
        for part in (self._patience, self._input_closed, self._output_closed, self._congestion, self.dialogue):
            part.end()
        if self._way is not None:
            problem = self._way.explain(problem, served=end != FAILED)
        elif end == FAILED:
            pid = {"pid": self.pid} if self.pid else {}
            self._context.log.warning("helper-failed", helper=self.name, **pid, why=problem.message)
        if not isinstance(problem, Refusal):
            problem = named(problem, self.name, self.launch.key[1].argv[0])
        self._owner.ended(self, problem, waiting, end)
        if self.link is not None and not abandon:
            self.link.resume()  # what it still says is read and thrown away, so that it can exit in peace

    def last_words(self, how: str, code: str = TERMINATED) -> Problem:
        """How it ended, with the last line of its stderr."""
        line = self._started.last_line if self._started is not None else ""
        return Problem(code, f"{how}; its last words on stderr: {line}" if line else how)

    def take_stderr(self) -> str:
        """What a privileged helper has said on stderr before `init`, since the last time it was taken."""
        return self._started.collected if self._started is not None else ""

    def go_on(self) -> None:
        """Read on. Of a process that has exited, read what is left, and end."""
        started = self._started
        if started is None:
            return
        if not started.exited:
            started.link.resume()
            return
        if self.life.state not in (STARTING, READY):
            return
        self._retire()
        if not self._may_read():
            return
        if started.read_on(lambda: self.dialogue.heard):
            self._context.loop.call_soon(self.go_on)
        elif self._arrival is not None and self._is_on_its_way:
            self.last_words("")  # what is left of its stderr is read
            self._patience.pause()
            self._arrival.exited()
        else:
            self.end(self.last_words(started.process.end))

    def _may_read(self) -> bool:
        if self.life.state != READY:  # nothing that it says goes on to the front end
            return True
        return self._front.ready(self.go_on)

    def _stdout_ended(self, reason: str | None) -> None:
        started = self._started
        if started is None or started.exited:
            self.go_on()
            return
        if not self._is_on_its_way:  # else only its exit tells why; how long that may take is limited already
            self._output_closed.begin(self._context.limits.last_words_seconds)
        self._retire()
        self._congestion.end()
        started.take_back()  # most that have closed it are exiting
        started.link.close_out()

    def _says_no_more(self) -> None:
        """It has ended, but for its exit status, which had a little time so that it could be told of."""
        self.end(self.last_words("closed its output"))

    def _retire(self) -> None:
        """It is about to end: the next open is for another one."""
        if self.life.state == READY:
            self._owner.retired(self)

    def _has_no_channel(self) -> None:
        """One that has exited ends once what it had written is read: only that tells how."""
        if self.life.state != READY or self._started is None or not self._started.exited:
            self._owner.idle(self)

    def _stdin_broken(self, reason: str) -> None:
        self._context.log.debug("helper", "stdin-broken", helper=self.name, pid=self.pid, why=reason)
        if self.link is not None and self.link.in_fd < 0:
            return
        self._retire()
        self._input_closed.begin(self._context.limits.last_words_seconds)

    def _reads_no_more(self) -> None:
        if self._started is not None and not self._started.exited and not self._is_on_its_way:
            self.end(self.last_words("closed its input"))

    def _overdue(self, how: str) -> None:
        self.end(self.last_words(how, TIMEOUT), abandon=True)

    # Towards the helper (session.sinks.Sink)

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

    def take_again(self, ident: bytes, frame: bytes, like: Opening) -> bool:
        """Serve a new channel, whose open differs from that of `like` in the channel alone; False where it must wait,
        and is still to be taken."""
        return self.life.state == READY and self.roster.take_again(ident, frame, like)

    # From the helper (dialogue.Speaker)

    def greeted(self) -> None:
        """Its `init` has come: answer it, and hand over what waits."""
        self.life.move("init")
        self._patience.end()
        if self._arrival is not None:
            self._arrival.arrived()
        if self._started is not None:
            self._started.collect(False)
        superuser = self.launch.superuser is not None and {"id": self.launch.superuser}
        self.put(control("init", version=VERSION, host=self.launch.host, superuser=superuser))
        self.roster.settle()
        self._owner.ready(self)
        if self._finish_input:
            self.finish_input()

    def asks(self, open_questions: int) -> None:
        """The time until its `init` is not counted while it waits for an answer."""
        self._patience.asks(open_questions)

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
