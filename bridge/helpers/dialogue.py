"""What one helper says, and what it is answered (docs/protocol.md, "Helpers").

`chunk` is the way of a byte back: what was read of the helper is cut into spans, and those of its own channels go to
the front end. All else is talk between the helper and the bridge: its `init`, its questions, the ends of its channels.
"""

from typing import Any, Final, Protocol

from spanbridge.protocol.alike import Alike
from spanbridge.protocol.control import (
    FOR_THE_TRANSPORT,
    FRONT_END_ONLY,
    pong,
    read_head,
    read_object,
    written,
)
from spanbridge.protocol.frames import Span, control_payload, encode
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TERMINATED, TIMEOUT, Problem
from spanbridge.protocol.splitter import CONTROL, UNROUTED, FrameError, Splitter

from ..wire.context import Context
from ..wire.front import Front
from ..wire.link import REST_BYTES, Link
from ..wire.secret_chunks import SecretChunks
from ..wire.stall import Stall
from .attendant import Attendant
from .endings import Forgery, Refusal
from .handshake import check_first, read_refusal
from .life import ENDING, STARTING, Life
from .roster import FORWARD, Roster
from .stderr import give_stderr

_LINE_BYTES: Final = 200
"""As much is shown of what a helper says first, and is no frame."""


class Speaker(Protocol):
    """The helper that speaks."""

    life: Life
    link: Link | None
    roster: Roster

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def queued(self) -> int:
        """Bytes that wait for it."""

    def put(self, data: Span) -> None:
        """Whole frames for it."""

    def greeted(self) -> None:
        """Its `init` has come, and is good."""

    def superuser_done(self) -> None:
        """The privileged helper that it was to start has come up, or will not."""

    def asks(self, open_questions: int) -> None:
        """How many of its questions wait for an answer has changed."""

    def closed(self, ident: bytes, frame: bytes) -> None:
        """It has closed a channel of its own."""

    def close_answered(self, ident: bytes, frame: bytes) -> None:
        """It has answered the front end's close."""

    def last_words(self, how: str, code: str = TERMINATED) -> Problem:
        """How it ended, with what it said last."""

    def end(self, problem: Problem, *, abandon: bool = False) -> None:
        """It takes nothing more. `abandon`: what it still says is of no interest."""


class Dialogue:
    """One helper's stream, taken apart. `privileged`: it may ask for our stderr."""

    __slots__ = (
        "_alike",
        "_attendant",
        "_front",
        "_gave_stderr",
        "_helper",
        "_life",
        "_limits",
        "_log",
        "_privileged",
        "_questions",
        "_replies",
        "_secrets",
        "_splitter",
        "_stall",
    )

    def __init__(
        self, context: Context, front: Front, helper: Speaker, attendant: Attendant, *, privileged: bool
    ) -> None:
        limits = context.limits
        self._helper = helper
        self._life = helper.life
        self._front = front
        self._limits = limits
        self._log = context.log
        self._attendant = attendant
        self._privileged = privileged
        self._splitter = Splitter(
            helper.roster.routes,
            frame_bytes=limits.frame_bytes,
            control_bytes=limits.control_bytes,
            id_bytes=limits.channel_id_bytes,
        )
        self._stall = Stall(
            context.loop,
            self._splitter,
            limits.stall_seconds,
            read_since=self._read_since,
            on_stall=self._stalled,
        )
        self._alike = Alike()  # the last `ready`
        self._replies = 0  # bytes of answers to it since its outbox was empty
        self._questions = 0  # that it has asked and that were not answered
        self._gave_stderr = False
        self._secrets = SecretChunks(context.loop)  # answers

    @property
    def heard(self) -> int:
        """Bytes that were read of it."""
        return self._splitter.seen

    def end(self) -> None:
        """Nothing that it says counts any more."""
        self._secrets.wipe()
        self._stall.end()

    def drop(self) -> None:
        """Let go of what is held of an unfinished frame."""
        self._splitter.drop()

    def chunk(self, chunk: bytes) -> None:
        """What was read of it."""
        if self._life.state == ENDING:
            return
        put = self._front.put
        lone = self._splitter.lone(chunk)
        try:
            for route, span in self._splitter.feed(chunk) if lone is None else ((lone, chunk),):
                if route is FORWARD:
                    put(span)
                    continue
                if route is CONTROL:
                    self._control(span)  # type: ignore[arg-type]
                elif route is UNROUTED:
                    self._disown(span)  # type: ignore[arg-type]
                if self._life.state == ENDING:
                    return
            if self._splitter.missing >= REST_BYTES:
                self._move_rest()
            if self._splitter.unended:
                self._stall.watch()
                if self._splitter.stray:
                    self._disown(self._splitter.stray)
        except Refusal as refusal:
            self._helper.end(refusal)
        except Forgery as forgery:
            self._violate(PROTOCOL_ERROR, forgery.message)
        except FrameError as error:
            self._violate(TERMINATED, self._found(error, chunk))
        except Problem as error:
            self._violate(TERMINATED, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs this helper, not the session
            self._log.unforeseen(f"helper {self._helper.name}", error)
            self._helper.end(Problem(INTERNAL_ERROR, "given up for a mistake within the bridge"), abandon=True)

    def _found(self, error: FrameError, chunk: bytes) -> str:
        """What was found in place of a frame. At the start that is mostly a line for people, which is shown to its end;
        never of a privileged helper, whose line may be a password."""
        if self._privileged:
            return f"expected a frame at byte {error.offset} of the stream, found something else"
        begin = max(0, error.offset + len(chunk) - self._splitter.seen)
        line = chunk[begin : begin + _LINE_BYTES + 1].partition(b"\n")[0]
        if self._life.state != STARTING or not line:
            return str(error)
        more = "..." if len(line) > _LINE_BYTES else ""
        return f"{error}; the line is {line[:_LINE_BYTES].decode('utf-8', 'backslashreplace')!r}{more}"

    def _move_rest(self) -> None:
        """As Session._move_rest."""
        link, missing = self._helper.link, self._splitter.missing
        if self._splitter.unfinished is not FORWARD or not self._front.takes or link is None or not link.holds(missing):
            return
        if self._front.link.move(self._splitter.hand_over(), link, missing):
            raise Forgery(PROTOCOL_ERROR, "has taken back part of a frame that it had sent")

    def _disown(self, ident: bytes) -> None:
        """It sends, or has begun, a frame on a channel that it does not have."""
        if not self._helper.roster.forgot:
            raise Forgery(PROTOCOL_ERROR, f"sent a frame on channel {_shown(ident)}, not one of its own")

    def _violate(self, code: str, message: str) -> None:
        helper = self._helper
        self._log.warning("helper-protocol-error", helper=helper.name, pid=helper.pid, why=message)
        helper.end(helper.last_words(f"broke the protocol: {message}", code), abandon=True)

    def _read_since(self) -> float | None:
        link = self._helper.link
        return None if link is None or link.paused else link.resumed_at

    def _stalled(self) -> None:
        seconds, helper = self._limits.stall_seconds, self._helper
        self._log.limit("stall_seconds", seconds, helper=helper.name)
        helper.end(helper.last_words(f"left a frame unfinished for {seconds:g} s", TIMEOUT), abandon=True)

    # Talk

    def _control(self, frame: bytes) -> None:
        payload = control_payload(frame)
        roster, ident = self._helper.roster, self._alike.channel(payload)
        if ident and roster.routes.get(ident) is FORWARD:  # one more `ready`
            roster.unheard.pop(ident, None)
            self._front.put(frame)
            return
        command, channel = read_head(payload)
        starting = self._life.state == STARTING
        if command == "authorize":
            self._asked(read_object(payload))
        elif starting and command == "send-stderr" and self._privileged:
            self._send_stderr()
        elif starting:
            try:
                check_first(command, payload, self._limits.refusal_bytes)
            except Refusal:
                self._tell_of_cut(payload)
                raise
            self._helper.greeted()
        elif command in FRONT_END_ONLY:
            raise Forgery(PROTOCOL_ERROR, f"sent {command!r}, which only a front end may")
        elif command == "init":
            self._late_init(payload)
        elif channel is not None and command not in FOR_THE_TRANSPORT:
            self._of_channel(channel.encode(), command, frame, payload)
        elif command == "ping":
            self._reply(pong(read_object(payload)))
        elif command == "superuser-init-done":
            self._helper.superuser_done()
        else:
            self._log.debug("helper", "ignored", helper=self._helper.name, command=command)

    def _of_channel(self, ident: bytes, command: str, frame: bytes, payload: bytes) -> None:
        roster = self._helper.roster
        route = roster.routes.get(ident)
        if route is None and roster.forgot:
            return
        if route is None:
            raise Forgery(PROTOCOL_ERROR, f"sent {command!r} for channel {_shown(ident)}, not one of its own")
        if command != "close":
            if route is FORWARD:
                roster.unheard.pop(ident, None)  # it has read its open
                self._front.put(frame)
                if command == "ready":
                    self._alike.note(payload, ident)
        elif route is FORWARD:
            self._helper.closed(ident, frame)
            roster.closed(ident)
        elif roster.owes(ident):
            self._helper.close_answered(ident, frame)
            roster.answered(ident)

    def _late_init(self, payload: bytes) -> None:
        said = read_refusal(payload, self._limits.refusal_bytes)
        if said is not None:
            self._tell_of_cut(payload)
            self._helper.end(self._helper.last_words(f"said that it ends: {said.code}: {said.message}"))

    def _tell_of_cut(self, refusal: bytes) -> None:
        """Those whose opens are closed with it do not see that something is missing."""
        most = self._limits.refusal_bytes
        if len(refusal) > most:
            self._log.limit("refusal_bytes", most, helper=self._helper.name, found=len(refusal))

    # Answers

    def _asked(self, question: dict[str, Any]) -> None:
        self._questions += 1
        self._attendant(self, question)
        if self._questions:  # it is not answered yet: people type slowly
            self._helper.asks(self._questions)

    def answer(self, question: dict[str, Any], response: str) -> None:
        """Answer its `authorize`; an empty `response` refuses."""
        self._questions -= 1
        self._helper.asks(self._questions)
        cookie = question.get("cookie")
        told = {"command": "authorize", "cookie": cookie if isinstance(cookie, str) else "", "response": response}
        payload = written(told)
        frame = encode(b"", payload)
        try:
            self._reply(frame)
        except Problem as problem:  # whoever answers has no part in it
            self._violate(TERMINATED, problem.message)
        for secret in (payload, frame):
            self._secrets.add(secret)

    def _reply(self, frame: bytes) -> None:
        """Answer a question of its own: such answers wait in its outbox past the bound that stops the front end."""
        if not self._helper.queued:
            self._replies = 0
        self._replies += len(frame)
        if self._replies > self._limits.helper_queue_bytes:
            raise Problem(PROTOCOL_ERROR, "asks more than it reads the answers to")
        self._helper.put(frame)

    def _send_stderr(self) -> None:
        """Hand our own stderr over: what it says from now on is for the log, not for whoever waits for the start."""
        if self._gave_stderr:
            raise Problem(PROTOCOL_ERROR, "expected init, found 'send-stderr' for the second time")
        self._gave_stderr = True
        link = self._helper.link
        if link is not None and not link.broken:
            try:
                give_stderr(link.out_fd)
            except OSError as error:  # it does not listen any more, or we have no stderr
                self._log.debug("helper", "stderr-not-given", helper=self._helper.name, why=error.strerror)


def _shown(ident: bytes) -> str:
    return repr(ident[:80].decode("utf-8", "backslashreplace"))
