"""One helper: a child process that speaks the protocol, from spawn to reap (docs/protocol.md, "Helpers").

    queued    there is no room for one more process yet; another helper is on its way out
    starting  the process runs and has not sent its `init`
    ready     it has; opens are handed to it
    ending    it is to go: nothing more is handed to it, its stdin is closed, signals follow
    gone      reaped

What leads from one to the next is `TRANSITIONS`, and nothing else.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

import anyio
from anyio import CancelScope

from spanbridge.manifests.model import Rule
from spanbridge.protocol.control import FOR_THE_TRANSPORT, FRONT_END_ONLY, control, frame_of, read_head, read_object
from spanbridge.protocol.frames import CONTROL, UNROUTED, FrameError, Span, Splitter, control_payload
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TERMINATED, TIMEOUT, Problem

from ..wire.context import Context
from ..wire.front import Front
from ..wire.link import REST_BYTES, Link
from ..wire.source import Source
from ..wire.stall import Stall
from .board import DISMISSED, FAILED, SERVED, Attendant, Board, End, Forgery, Key, Refusal
from .congestion import Congestion
from .handshake import check_first, read_refusal
from .opening import Opening
from .process import Process, SpawnError
from .roster import FORWARD, Roster
from .stderr import Stderr, give_stderr

QUEUED: Final = "queued"
STARTING: Final = "starting"
READY: Final = "ready"
ENDING: Final = "ending"
GONE: Final = "gone"

TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    (QUEUED, "room"): STARTING,
    (QUEUED, "end"): ENDING,
    (STARTING, "init"): READY,
    (STARTING, "end"): ENDING,
    (READY, "end"): ENDING,
    (ENDING, "reaped"): GONE,
}

_SHOWN: Final = 4_000  # characters of a problem's message


class Helper:
    """One process and the channels that it serves. `run` is its whole life."""

    def __init__(
        self,
        context: Context,
        front: Front,
        board: Board,
        rule: Rule,
        key: Key,
        environ: Mapping[str, str],
        attendant: Attendant | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`variables`: those of the rule, and what they were expanded to.
        `attendant`: the helper is a privileged one, on a socket pair."""
        self.rule = rule
        self.key = key
        self.expansion = key[1]
        self.name = rule.name
        self.variables = variables or {}
        self.made_at = context.loop.time()
        self.state = QUEUED
        self.room = anyio.Event()  # set when the process may be started
        self.gone = anyio.Event()
        self.link: Link | None = None
        self._loop = context.loop
        self._limits = context.limits
        self._log = context.log
        self._context = context
        self._front = front
        self._board = board
        self._attendant = attendant
        self._environ = environ
        self._process: Process | None = None
        self._stderr: Stderr | None = None
        self.roster = Roster(
            context,
            put=self.put,
            adopted=lambda opening: board.adopted(opening, self),
            counted=lambda: self._congestion.waiting(self.roster.waiting_bytes),
            idle=lambda: board.idle(self),
        )
        self._splitter = Splitter(
            self.roster.routes,
            frame_bytes=context.limits.frame_bytes,
            control_bytes=context.limits.control_bytes,
            id_bytes=context.limits.channel_id_bytes,
        )
        self._ready = anyio.Event()  # `init` has come, or never will
        self._over = anyio.Event()
        self._patience = CancelScope()  # over when `init` has taken too long
        self._replies = 0  # bytes of answers to it since its outbox was empty
        self._questions = 0  # that it has asked and that were not answered
        self._gave_stderr = False
        self._silent = anyio.Event()  # its stdout has ended
        self._finish_input = False  # nothing more will be put
        self._abandon = False  # its last words are of no interest
        self._congestion = Congestion(
            context.loop, front, context.limits, context.log, rule.name, on_stuck=self._takes_nothing
        )
        self._stall = Stall(
            context.loop,
            self._splitter,
            context.limits.stall_seconds,
            paused=lambda: self.link is not None and self.link.paused,
            on_stall=self._stalled,
        )
        self._unread_bytes = -1  # of one that has exited; below 0: not counted yet, or more than that was read
        self._unread: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def idle(self) -> bool:
        """Whether it may be stopped to make room."""
        return self.state == READY and not self.roster.channels and self._attendant is None

    @property
    def queued(self) -> int:
        """Bytes that wait for it."""
        return self.roster.waiting_bytes + (self.link.queued if self.link else 0)

    @property
    def bytes_in(self) -> int:
        """What was read of it."""
        return self._splitter.seen

    def _move(self, event: str) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, event]
        self._log.debug("helper", event, helper=self.name, pid=self.pid, state=self.state, was=before)

    # Its life

    async def run(self) -> None:
        """Start the process, serve until it ends or is ended, and reap it."""
        try:
            await self.room.wait()
            if self.state == QUEUED:
                self._start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_handshake)
                tasks.start_soon(self._watch_silence)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs this helper, not the session
            self._log.unforeseen(f"helper {self.name}", error)
        finally:
            self.end(Problem(INTERNAL_ERROR, "given up for a mistake within the bridge"), abandon=True)
            with CancelScope(shield=True):
                await self._stop()
            self._move("reaped")
            self._splitter.drop()
            self.gone.set()

    def _start(self) -> None:
        self._move("room")
        try:
            self._process = Process(
                self._loop,
                self.expansion.argv,
                self._environ,
                self.expansion.directory,
                self.go_on,
                paired=self._attendant is not None,
                watchdog=self._context.watchdog,
            )
        except SpawnError as error:
            self.end(Problem(INTERNAL_ERROR, f"cannot be started: {error}"))
            return
        limits = self._limits
        self.link = Link(
            self._loop,
            self._context.poller,
            self._context.flusher,
            self._context.budget,
            self._process.stdout,
            self._process.stdin,
            read_bytes=limits.read_bytes,
            high_water=limits.helper_queue_bytes,
            on_chunk=self._chunk,
            on_end=self._stdout_ended,
            on_broken=self._stdin_broken,
        )
        self._congestion.watch(self.link)
        self.link.may_read = self._may_read
        self._stderr = Stderr(
            self._loop, self._process.stderr, self._log, self.name, self.pid, limits.stderr_line_bytes
        )
        if self._attendant is not None:
            self._stderr.collected = []
        self.link.resume()
        self._log.info("helper-started", helper=self.name, pid=self.pid, command=self.expansion.argv[0])

    async def _watch_handshake(self) -> None:
        seconds = self._limits.handshake_seconds
        with self._patience:
            self._patience.deadline = anyio.current_time() + seconds
            await self._ready.wait()
        if self.state == STARTING:
            self._log.limit("handshake_seconds", seconds, helper=self.name)
            self.end(self._last_words(f"sent no init within {seconds:g} s", TIMEOUT), abandon=True)

    async def _watch_silence(self) -> None:
        """A helper that closes its stdout has ended; wait a little for the exit status, so as to tell of it."""
        await self._silent.wait()
        with anyio.move_on_after(self._limits.last_words_seconds):
            await self._over.wait()
        self.end(self._last_words("closed its output"))

    async def _stop(self) -> None:
        """End the process in steps, each given its time, and reap it. Whatever it started in its group goes too."""
        if self._process is None or self.link is None:
            return
        limits, process = self._limits, self._process
        if self._abandon:
            self.link.close()
        else:
            self.finish_input()
            with anyio.move_on_after(limits.exit_seconds):
                await process.exited.wait()
            self.link.close_out()
        if not await process.stop(limits.term_seconds):
            self._log.limit("term_seconds", limits.term_seconds, helper=self.name)
            await process.kill(limits.term_seconds)
        self.link.close()
        if not process.exited.is_set():  # it runs as somebody whom we may not signal
            self._log.error("helper-left-behind", helper=self.name, pid=self.pid)
            process.abandon()
        if self._stderr is not None:
            self._stderr.drain()
            self._stderr.close()
        if not process.exited.is_set():
            return
        self._log.info("helper-ended", helper=self.name, pid=self.pid, how=process.end)
        await process.end_group(limits.term_seconds)
        process.reap()

    def finish_input(self) -> None:
        """Close its stdin as soon as all that waits for it has been written, which its `init` comes before."""
        self._finish_input = True
        if self.link is not None and self.state != STARTING:
            self._context.flusher.flush()
            self.link.when_empty(self.link.close_out)

    def close_input(self) -> None:
        """Wait no more for the `init` of one that is to finish."""
        if self.link is not None and self.state == STARTING:
            self.link.close_out()

    # The end

    def end(self, problem: Problem, *, abandon: bool = False, dismissed: bool = False) -> None:
        """It takes nothing more: its channels are closed with `problem`, its process stopped.

        `abandon`: what it still writes is not read any more. `dismissed`: opens that wait for it are closed too.
        """
        if self.state in (ENDING, GONE):
            return
        end: End = DISMISSED if dismissed else SERVED if self.state == READY else FAILED
        self._move("end")
        self._abandon = abandon
        waiting = self.roster.clear()
        if self._unread is not None:
            self._unread.cancel()
        self._congestion.end()
        self._stall.end()
        self._ready.set()
        self._over.set()
        self.room.set()
        if end == FAILED:
            pid = {"pid": self.pid} if self.pid else {}
            self._log.warning("helper-failed", helper=self.name, **pid, why=problem.message)
        if not isinstance(problem, Refusal):
            message = f"{self.name} ({self.expansion.argv[0][:_SHOWN]}): {problem.message}"
            problem = Problem(problem.code, message[:_SHOWN])
        self._board.ended(self, problem, waiting, end)
        if self.link is not None and not abandon:
            self.link.resume()  # what it still says is read and thrown away, so that it can exit in peace

    def _last_words(self, how: str, code: str = TERMINATED) -> Problem:
        message = how
        if self._stderr is not None:
            self._stderr.drain()
            if self._stderr.last:
                message += f"; its last words on stderr: {self._stderr.last}"
        return Problem(code, message)

    def go_on(self) -> None:
        """Read on. Of a process that has exited, read what is left, and end."""
        if self.link is None or self._process is None:
            return
        if not self._process.exited.is_set():
            self.link.resume()
            return
        if self.state not in (STARTING, READY) or not self._front.ready(self.go_on):
            return
        # What it had written is there. Somebody else may have its stdout still, and write without end.
        if self._unread_bytes < 0:
            self._unread_bytes = self.link.readable
        before = self._splitter.seen
        more = self.link.drain()
        self._unread_bytes -= self._splitter.seen - before
        if not more or self._unread_bytes <= 0:
            self.end(self._last_words(self._process.end))
        else:
            self._loop.call_soon(self.go_on)

    def _may_read(self) -> bool:
        if self.state != READY:  # nothing that it says goes on to the front end
            return True
        return self._front.ready(self.go_on)

    def _stdout_ended(self, reason: str | None) -> None:
        if self._process is not None and self._process.exited.is_set():
            self.go_on()
        else:
            self._silent.set()
            self._retire()
            self._congestion.end()
            if self.link is not None:
                self.link.close_out()

    def _retire(self) -> None:
        """It is about to end: the next open is for another one."""
        if self.state == READY:
            self._board.retired(self)

    def _stdin_broken(self, reason: str) -> None:
        self._log.debug("helper", "stdin-broken", helper=self.name, pid=self.pid, why=reason)
        if self.link is not None and self.link.in_fd < 0:
            return
        self._retire()
        self._unread = self._loop.call_later(self._limits.last_words_seconds, self._reads_no_more)

    def _takes_nothing(self) -> None:
        seconds = self._limits.stuck_seconds
        self._log.limit("stuck_seconds", seconds, helper=self.name)
        self.end(self._last_words(f"took nothing for {seconds:g} s while its queue was full", TIMEOUT), abandon=True)

    def _stalled(self) -> None:
        seconds = self._limits.stall_seconds
        self._log.limit("stall_seconds", seconds, helper=self.name)
        self.end(self._last_words(f"left a frame unfinished for {seconds:g} s", TIMEOUT), abandon=True)

    def _reads_no_more(self) -> None:
        if self._process is not None and not self._process.exited.is_set():
            self.end(self._last_words("closed its input"))

    # Towards the helper

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
        """A control message for one of its channels."""
        if command == "close":
            self.roster.close(ident, frame)
        else:
            self.put(frame)

    def take(self, opening: Opening) -> bool:
        """Serve a new channel. False where its open must wait."""
        return self.roster.take(opening, ready=self.state == READY)

    # From the helper

    def _chunk(self, chunk: bytes) -> None:
        if self.state == ENDING:
            return
        put = self._front.put
        lone = self._splitter.lone(chunk)
        try:
            for route, span in self._splitter.feed(chunk) if lone is None else ((lone, chunk),):
                if route is FORWARD:
                    put(span)
                elif route is CONTROL:
                    self._control(span)  # type: ignore[arg-type]
                elif route is UNROUTED:
                    self._disown(span)  # type: ignore[arg-type]
                if self.state == ENDING:
                    return
            if self._splitter.missing >= REST_BYTES:
                self._move_rest()
            if self._splitter.unended:
                self._stall.watch()
                if self._splitter.stray:
                    self._disown(self._splitter.stray)
        except Refusal as refusal:
            self.end(refusal)
        except Forgery as forgery:
            self._violate(PROTOCOL_ERROR, forgery.message)
        except (FrameError, Problem) as error:
            self._violate(TERMINATED, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs this helper, not the session
            self._log.unforeseen(f"helper {self.name}", error)
            self.end(Problem(INTERNAL_ERROR, "given up for a mistake within the bridge"), abandon=True)

    def _move_rest(self) -> None:
        """As Session._move_rest."""
        link, missing = self.link, self._splitter.missing
        if self._splitter.unfinished is not FORWARD or not self._front.takes or link is None or not link.holds(missing):
            return
        if self._front.link.move(self._splitter.hand_over(), link, missing):
            raise Forgery(PROTOCOL_ERROR, "has taken back part of a frame that it had sent")

    def _disown(self, ident: bytes) -> None:
        """It sends, or has begun, a frame on a channel that it does not have."""
        if not self.roster.forgot:
            raise Forgery(PROTOCOL_ERROR, f"sent a frame on channel {_shown(ident)}, not one of its own")

    def _violate(self, code: str, message: str) -> None:
        self._log.warning("helper-protocol-error", helper=self.name, pid=self.pid, why=message)
        self.end(self._last_words(f"broke the protocol: {message}", code), abandon=True)

    def _control(self, frame: bytes) -> None:
        payload = control_payload(frame)
        command, channel = read_head(payload)
        if command == "authorize":
            self._asked(read_object(payload))
        elif self.state == STARTING and command == "send-stderr" and self._attendant is not None:
            self._send_stderr()
        elif self.state == STARTING:
            self._handshake(command, payload)
        elif command in FRONT_END_ONLY:
            raise Forgery(PROTOCOL_ERROR, f"sent {command!r}, which only a front end may")
        elif command == "init":
            self._late_init(payload)
        elif channel is not None and command not in FOR_THE_TRANSPORT:
            self._channel_control(channel.encode(), command, frame)
        elif command == "ping":
            self._reply(frame_of({**read_object(payload), "command": "pong"}))
        else:
            self._log.debug("helper", "ignored", helper=self.name, command=command)

    def _asked(self, question: dict[str, Any]) -> None:
        self._questions += 1
        if self._attendant is not None:
            self._patience.deadline = math.inf  # people type slowly
            self._attendant.asked(self, question)
        elif self.state == STARTING:
            raise Problem(PROTOCOL_ERROR, "expected init as its first message, found 'authorize'")
        else:
            self.answer(question, "")

    def _reply(self, frame: bytes) -> None:
        """Answer a question of its own: such answers wait in its outbox past the bound that stops the front end."""
        if not self.queued:
            self._replies = 0
        self._replies += len(frame)
        if self._replies > self._limits.helper_queue_bytes:
            raise Problem(PROTOCOL_ERROR, "asks more than it reads the answers to")
        self.put(frame)

    def answer(self, question: dict[str, Any], response: str) -> None:
        """Answer its `authorize`; an empty `response` refuses."""
        self._questions -= 1
        if not self._questions:
            self._patience.deadline = self._loop.time() + self._limits.handshake_seconds
        cookie = question.get("cookie")
        self._reply(control("authorize", cookie=cookie if isinstance(cookie, str) else "", response=response))

    def _send_stderr(self) -> None:
        """Hand our own stderr over: what it says from now on is for the log, not for whoever waits for the start."""
        if self._gave_stderr:
            raise Problem(PROTOCOL_ERROR, "expected init, found 'send-stderr' for the second time")
        self._gave_stderr = True
        if self.link is not None and not self.link.broken:
            try:
                give_stderr(self.link.out_fd)
            except OSError as error:  # it does not listen any more, or we have no stderr
                self._log.debug("helper", "stderr-not-given", helper=self.name, why=error.strerror)

    def take_stderr(self) -> str:
        """What a privileged helper has said on stderr before `init`, since the last time it was taken."""
        if self._stderr is None:
            return ""
        self._stderr.drain()
        return self._stderr.take_collected()

    def _handshake(self, command: str, payload: bytes) -> None:
        check_first(command, payload, self._limits.refusal_bytes)
        self._move("init")
        self._ready.set()
        if self._stderr is not None:
            self._stderr.collected = None
        self.put(self._board.init_for(self))
        self.roster.settle()
        self._board.ready(self)
        if self._finish_input:
            self.finish_input()

    def _late_init(self, payload: bytes) -> None:
        said = read_refusal(payload, self._limits.refusal_bytes)
        if said is not None:
            self.end(self._last_words(f"said that it ends: {said.code}: {said.message}"))

    def _channel_control(self, ident: bytes, command: str, frame: bytes) -> None:
        route = self.roster.routes.get(ident)
        if route is None and self.roster.forgot:
            return
        if route is None:
            raise Forgery(PROTOCOL_ERROR, f"sent {command!r} for channel {_shown(ident)}, not one of its own")
        if command != "close":
            if route is FORWARD:
                self._front.put(frame)
        elif route is FORWARD:
            self._board.closed(ident, frame)
            self.roster.closed(ident)
        else:
            self._board.close_answered(self, ident, frame)
            self.roster.answered(ident)


def _shown(ident: Any) -> str:
    return repr(ident[:80].decode("utf-8", "backslashreplace"))
