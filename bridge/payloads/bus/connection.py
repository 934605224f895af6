"""One connection to a bus, or to a peer without one: calls and their answers, signals and who is told of them."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import anyio

from spanbridge.protocol.problems import DISCONNECTED, INTERNAL_ERROR, TIMEOUT, Problem

from ..base import Services
from . import message as wire
from .errors import FAILED, INVALID_ARGS, TIMED_OUT, UNKNOWN_METHOD, BusError
from .gather import values_of
from .lanes import Lanes
from .marshal import TooMuch
from .match_rule import BUS_NAME, BUS_PATH
from .message import Answered, Message, write_message
from .owners import Owners
from .rules import Rules
from .stream import Stream, close_all
from .turns import Turn
from .unanswered import Unanswered
from .unmarshal import Malformed

Made = TypeVar("Made")


class Heeding(Protocol):
    """What keeps something of a peer's, and is told of its signals before channels are."""

    def heed(self, message: Message) -> Awaitable[None] | None:
        """What this returns is awaited before anything else of the peer is heeded."""


class Listener(Protocol):
    """A channel on the connection."""

    def signalled(self, message: Message, names: list[str]) -> Awaitable[None] | None:
        """A signal has come, of a peer that has these of the tracked names. Its descriptors are not the channel's.
        What this returns is awaited before anything else of the peer is heeded."""

    def lost(self, problem: Problem) -> None:
        """The connection is no more."""


class _Call:
    """One that is not answered yet. `in_order`: its answer waits for what the peer said before it; `came`: it does."""

    __slots__ = ("answered", "came", "in_order", "lost")

    def __init__(self, answered: Answered, in_order: bool, lost: Callable[[Problem], None] | None) -> None:
        self.answered = answered
        self.in_order = in_order
        self.lost = lost
        self.came = False


class Connection:
    """An authenticated connection. `name`: what it is, in messages for people."""

    def __init__(self, services: Services, sock: socket.socket, rest: bytes, *, name: str, is_bus: bool) -> None:
        self.services = services
        self.name = name
        self.is_bus = is_bus
        self.unique_name: str | None = None
        self.problem: Problem | None = None  # why it is no more
        self.on_lost: Callable[[], object] = bool
        self.listeners: dict[Listener, None] = {}
        self.caches: dict[str | None, Heeding] = {}  # by the name of the peer
        self.serve: Answered | None = None  # heeds calls, once something is published
        self._made: dict[Callable[..., Any], Any] = {}
        self.rules = Rules(self)
        self.owners = Owners(self)
        self._answer_seconds = services.context.limits.dbus_answer_seconds
        self._log = services.context.log
        self._serial = 0
        self._calls: dict[int, _Call] = {}
        self._lanes = Lanes(services.tasks, services.context, self.mistake, source=self)
        self._stream = Stream(
            services.context,
            services.front,
            sock,
            rest,
            on_message=self._heed,
            on_lost=self.fail,
            on_stuck=self._stuck,
        )
        # A peer without a bus has its own limits, if any.
        self._unanswered = Unanswered(services.context, services.front, self._stream.send) if is_bus else None

    def once(self, make: "Callable[[Connection], Made]") -> Made:
        """What `make` makes of this connection: made when first asked for, shared by all its channels."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    async def hello(self) -> None:
        """Become a member of the bus. Raises BusError, Problem."""
        asked = wire.call(BUS_PATH, BUS_NAME, "Hello", destination=BUS_NAME)
        (self.unique_name,) = await self.ask_for("s", asked)
        if self.problem is not None:  # it was lost in the very turn in which that came, and nobody was told
            raise self.problem

    # Sent

    def tell(self, message: Message) -> int:
        """Send a message; its serial. An answer to it is not heeded. Raises BusError: it is too large."""
        self._serial = self._serial % 0xFFFFFFFF + 1
        try:
            data = write_message(message, self._serial)
        except TooMuch as error:
            raise BusError(INVALID_ARGS, str(error)) from None
        if self._unanswered is None:
            self._stream.send(data, tuple(message.fds))
        else:
            self._unanswered.send(message, self._serial, data)
        return self._serial

    def call(
        self,
        message: Message,
        answered: Answered,
        *,
        in_order: bool = False,
        lost: Callable[[Problem], None] | None = None,
    ) -> int:
        """Send a call; `answered` is given its answer, an error too. Its serial, for `forget`. Raises BusError.

        `in_order`: after all that the peer said before. Others must not be made to wait for: what waits may itself
        have asked. `lost` is called if no answer can come any more.
        """
        serial = self.tell(message)
        self._calls[serial] = _Call(answered, in_order, lost)
        return serial

    def forget(self, serial: int) -> None:
        """A call whose answer nobody wants any more."""
        self._calls.pop(serial, None)

    async def ask(self, message: Message, *, seconds: float | None = None) -> Message:
        """The answer to a call, which may take so long, or `dbus_answer_seconds`. Raises BusError for an error, and
        where none comes in time; Problem (`disconnected`)."""
        if self.problem is not None:
            raise self.problem
        came = anyio.Event()
        outcome: list[Message | Problem] = []

        def answered(answer: Message | Problem) -> None:
            outcome.append(answer)
            came.set()

        serial = self.call(message, answered, lost=answered)
        try:
            await self.wait_for(came, serial, seconds)
        finally:
            self.forget(serial)
        if not outcome:
            whom = message.destination or self.name
            if seconds is None:
                self._log.limit("dbus_answer_seconds", self._answer_seconds, destination=whom)
            raise BusError(TIMED_OUT, f"{whom} does not answer")
        (answer,) = outcome
        if isinstance(answer, Problem):
            raise answer
        if answer.error is not None:
            raise BusError(answer.error, self._words_of(answer))
        return answer

    def _words_of(self, answer: Message) -> str:
        """What an error says for people. Raises Problem."""
        if not answer.signature.startswith("s"):
            return answer.error or ""
        try:
            return str(answer.first())
        except Malformed as error:
            raise self._over(error) from None

    async def wait_for(self, heeded: anyio.Event, serial: int, seconds: float | None = None) -> None:
        """Until the answer to this call was heeded, or for so long, or `dbus_answer_seconds`. Time in which it is we
        who do not read does not count, and what has come is not late, however long it waits to be heeded."""
        while not heeded.is_set():
            pauses = self._stream.pauses
            with anyio.move_on_after(self._answer_seconds if seconds is None else seconds):
                await heeded.wait()
            call = self._calls.get(serial)
            if call is not None and not (call.came or self._stream.held or self._stream.pauses != pauses):
                return

    async def ask_for(self, signature: str, message: Message) -> list[Any]:
        """The values of the answer to a call, which must be of this signature, variants bare (unmarshal.py). Raises as
        `ask`."""
        answer = await self.ask(message)
        if answer.signature != signature:
            raise BusError(FAILED, f"{message.member} has answered with {answer.signature!r}, expected {signature!r}")
        try:
            return await values_of(answer, Turn(self.services.context.loop.time, self.services.tasks))
        except Malformed as error:
            raise self._over(error) from None

    def _over(self, error: Malformed) -> Exception:
        """It is the end of the connection: the Problem."""
        self.mistake(error)
        return self.problem or error

    # Received

    def _heed(self, message: Message) -> None:
        try:
            if message.kind in (wire.REPLY, wire.ERROR):
                self._answered(message)
            elif message.kind == wire.SIGNAL:
                self._signalled(message)
            elif message.kind == wire.CALL:
                self._lanes.put(self._peer_of(message), self._called, message)
            else:
                close_all(message.fds)
        except Exception as error:  # noqa: BLE001 - it costs this connection alone
            self.mistake(error)

    def _peer_of(self, message: Message) -> str | None:
        """Who has sent it. A peer without a bus is one, whatever it calls itself: systemd says its name."""
        return message.sender if self.is_bus else None

    def in_order(self, peer: str | None, job: Callable[[], Awaitable[None] | None]) -> None:
        """Do this after all that the peer has said so far was heeded, and before what it says later."""
        self._lanes.put(peer, job)

    def _answered(self, message: Message) -> None:
        if self._unanswered is not None:
            self._unanswered.answered(message.answers)
        call = self._calls.get(message.answers)
        if call is None:
            close_all(message.fds)  # late
        elif call.in_order:
            call.came = True
            self._lanes.put(self._peer_of(message), self._hand_over, message)
        else:
            self._hand_over(message)

    def _hand_over(self, message: Message) -> Awaitable[None] | None:
        call = self._calls.pop(message.answers, None)
        if call is None:
            close_all(message.fds)
            return None
        return self._with_descriptors(message, call.answered) if message.fds else call.answered(message)

    def _signalled(self, message: Message) -> None:
        if not self.is_bus:
            self._lanes.put(None, self._tell_all, message, [])
            return
        if message.sender == BUS_NAME:
            self.owners.heed(message)
        # Whose signal it is was decided when it came.
        names = list(self.owners.names(message.sender))
        if names:
            self._lanes.put(message.sender, self._tell_all, message, names)
        else:
            close_all(message.fds)

    def _tell_all(self, message: Message, names: list[str]) -> Awaitable[None] | None:
        return self._with_descriptors(message, lambda message: self._tell_caches(message, names))

    def _tell_caches(self, message: Message, names: list[str]) -> Awaitable[None] | None:
        wanted: list[str | None] = [*names] if self.is_bus else [None]
        caches = [self.caches[name] for name in wanted if name in self.caches]
        waiting = [found for cache in caches if (found := cache.heed(message)) is not None]
        if waiting:
            return self._tell_channels_after(waiting, message, names)
        return self._tell_channels(message, names)

    async def _tell_channels_after(self, waiting: list[Awaitable[None]], message: Message, names: list[str]) -> None:
        for each in waiting:
            await each
        told = self._tell_channels(message, names)
        if told is not None:
            await told

    def _tell_channels(self, message: Message, names: list[str]) -> Awaitable[None] | None:
        waiting = [told for each in list(self.listeners) if (told := each.signalled(message, names)) is not None]
        return _all(waiting) if waiting else None

    def _with_descriptors(self, message: Message, heed: Answered) -> Awaitable[None] | None:
        """Heed a message; its descriptors are closed when that is done. Who wants to keep one keeps a duplicate."""
        if not message.fds:
            return heed(message)
        try:
            waiting = heed(message)
        except BaseException:
            close_all(message.fds)
            raise
        if waiting is None:
            close_all(message.fds)
            return None
        return self._close_after(waiting, message)

    async def _close_after(self, waiting: Awaitable[None], message: Message) -> None:
        try:
            await waiting
        finally:
            close_all(message.fds)

    def _called(self, message: Message) -> Awaitable[None] | None:
        if self.serve is not None:
            return self._with_descriptors(message, self.serve)
        close_all(message.fds)
        self.refuse(message, BusError(UNKNOWN_METHOD, "nothing is published here"))
        return None

    def refuse(self, message: Message, error: BusError) -> None:
        """Answer a call with an error, if it wants an answer."""
        if not message.flags & wire.NO_REPLY:
            self.tell(wire.error(message, error.name, "s", [error.message]))

    # Flow

    def hold(self, who: object) -> None:
        """Read no more until `release`: `who` cannot take it."""
        self._stream.hold(who)

    def release(self, who: object) -> None:
        self._stream.release(who)

    # The end

    def _stuck(self) -> None:
        seconds = self.services.context.limits.stuck_seconds
        self._log.limit("stuck_seconds", seconds)
        self._end(Problem(TIMEOUT, f"{self.name} takes nothing"))

    def mistake(self, error: Exception) -> None:
        """Something went wrong with what the other side said: no more of it is heeded."""
        if isinstance(error, Malformed):
            self.fail(f"what it sends is no D-Bus: {error}")
        elif isinstance(error, Problem):
            self._end(error)
        else:
            self._log.unforeseen("dbus-json3", error)
            self._end(Problem(INTERNAL_ERROR, f"{self.name}: a mistake within the bridge"))

    def fail(self, reason: str) -> None:
        """It is no more, for this reason."""
        self._log.info("bus-lost", bus=self.name, why=reason)
        self._end(Problem(DISCONNECTED, f"{self.name}: {reason}"))

    def close(self) -> None:
        """Nobody needs it any more."""
        self._end(Problem(DISCONNECTED, f"{self.name}: closed"))

    def _end(self, problem: Problem) -> None:
        if self.problem is not None:
            return
        self.problem = problem
        if self._unanswered is not None:
            self._unanswered.end()
        self._stream.close()
        self.on_lost()
        for listener in list(self.listeners):
            listener.lost(problem)
        for call in list(self._calls.values()):
            if call.lost is not None:
                call.lost(problem)
        self._calls.clear()


async def _all(waiting: list[Awaitable[None]]) -> None:
    for each in waiting:
        await each
