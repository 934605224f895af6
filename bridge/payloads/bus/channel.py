"""One `dbus-json3` channel: messages of JSON in and out, whatever bus is behind it (docs/dbus.md).

What is asked waits while the answers to what was asked before do: few bytes may ask for many.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import anyio
import msgspec

from spanbridge.manifests.member import describe
from spanbridge.protocol.frames import Span, join
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TOO_LARGE, Problem

from ...wire.secret_chunks import SecretChunks
from ..base import Services
from ..served.channel import Channel
from .errors import FAILED, BusError
from .values import as_utf8

Message = dict[str, Any]
Handler = Callable[[Any, Message], None]


class Backend(Protocol):
    """What is behind the channel. `kinds`: the messages that it takes, by the member that tells them apart. What they
    raise: Problem, which closes the channel; BusError, which answers the message."""

    @property
    def kinds(self) -> Mapping[str, Handler]: ...

    def hold(self) -> None:
        """The front end does not take what was said: say as little as can be until `release`."""

    def release(self) -> None: ...

    def too_long(self, payload: bytes, told: str) -> bool:
        """A message that is longer than is read. Whether it answers somebody, who was told so instead."""

    def end(self) -> None:
        """The channel is over."""


class Messages:
    """The payload of a channel (served/channel.py). `most`: bytes of one message, in a frame with the id of the
    channel."""

    def __init__(self, channel: Channel, services: Services, most: int) -> None:
        self.most = most
        self._channel = channel
        self._log = services.context.log
        self._limits = services.context.limits
        self._services = services
        self._secrets = SecretChunks(services.context.loop)
        self._backend: Backend
        self._inbox: deque[tuple[bytes, int]] = deque()
        self._inbox_bytes = 0
        self._outbox: deque[bytes] = deque()
        self._outbox_bytes = 0
        self._waiting = False  # for the front end to take more
        self._held = False
        self._turns: list[anyio.Event] = []

    def serve(self, backend: Backend) -> None:
        """From now on it has what comes."""
        self._backend = backend

    # From the front end

    def data(self, data: Span, nbytes: int) -> None:
        payload = bytes(join(data))
        if self._services.question_open():  # this may be the answer
            self._secrets.add(payload)
        elif self._secrets:
            self._secrets.wipe()
        if not self._outbox:
            self._take(payload, nbytes)
            return
        self._inbox.append((payload, nbytes))
        self._inbox_bytes += nbytes
        most = self._limits.bus_backlog_bytes
        if self._inbox_bytes > most:
            self._log.limit("bus_backlog_bytes", most)
            message = f"{most} bytes of messages wait for the front end to take earlier answers"
            raise Problem(INTERNAL_ERROR, message)

    def done(self) -> None:
        """No more messages come: what was asked is answered, and signals go on."""

    def command(self, command: str, message: Message) -> None:
        """None is known."""

    def end(self) -> None:
        self._inbox.clear()
        self._outbox.clear()
        self._wake()
        self._backend.end()

    def _take(self, payload: bytes, nbytes: int) -> None:
        self._heed(payload)
        self._channel.taken(nbytes)

    def _heed(self, payload: bytes) -> None:
        most = self._limits.bus_message_bytes
        if len(payload) > most:
            self._log.limit("bus_message_bytes", most)
            told = f"a message of {len(payload)} bytes, expected at most {most} (bus_message_bytes)"
            if self._backend.too_long(payload, told):
                return
            raise Problem(TOO_LARGE, f"dbus-json3: {told}")
        message = _decode(payload)
        if not isinstance(message, dict):
            raise unclear(f"expected a JSON object, found {describe(message)}")
        known = self._backend.kinds
        kinds = [kind for kind in message if kind in known]
        if len(kinds) != 1:
            raise unclear(f"expected one of {', '.join(known)}, found {', '.join(kinds) or 'none of them'}")
        (kind,) = kinds
        self.attempt(kind, message, known[kind], message[kind], message)

    def attempt(self, kind: str, message: Message, act: Callable[..., None], *args: Any) -> None:
        """Act on a message of this kind; what goes wrong answers it. Raises Problem."""
        try:
            act(*args)
        except Problem:
            raise
        except BusError as error:
            self.refuse(message, error)
        except Exception as error:  # noqa: BLE001 - a mistake in one object must not end the session
            self.refuse(message, self.mistake(kind, error))

    def mistake(self, kind: str, error: Exception) -> BusError:
        """What the front end is told of a mistake of ours."""
        told = f"{type(error).__name__}: {error}"
        self._log.error("bus-failed", message=kind, why=told)
        if self._log.debugging("bugs"):
            import traceback

            self._log.debug("bugs", "traceback", text="".join(traceback.format_exception(error)))
        return BusError(FAILED, told)

    # To the front end

    def tell(self, message: Message) -> None:
        """One message."""
        self.say(encode(message))

    def answer(self, message: Message, answer: Message) -> None:
        """Answer a message that has an `id`."""
        ident = message.get("id")
        if ident is not None:
            self.tell({**answer, "id": ident})

    def refuse(self, message: Message, error: BusError) -> None:
        """Answer it with an error."""
        self.answer(message, {"error": [error.name, [as_utf8(error.message)]]})

    def say(self, text: bytes) -> None:
        """One message, as it is: JSON text."""
        if not self._channel.open:
            return
        if len(text) > self.most:
            self.log_too_long()
            told = f"dbus-json3: {len(text)} bytes to be told, expected at most {self.most} (frame_bytes)"
            self.close(Problem(TOO_LARGE, told))
        elif not self._outbox and self._may_send():
            self._channel.send_text(text)
        else:
            self._outbox.append(text)
            self._outbox_bytes += len(text)
            if self._outbox_bytes > self._limits.bus_answers_bytes and not self._held:
                self._held = True
                self._log.limit("bus_answers_bytes", self._limits.bus_answers_bytes)
                self._backend.hold()

    def log_too_long(self) -> None:
        """What was to be told is longer than `most`."""
        self._log.limit("frame_bytes", self._limits.frame_bytes)

    def _may_send(self) -> bool:
        if self._waiting:
            return False
        if self._channel.may_send(self._go_on):
            return True
        self._waiting = True
        return False

    def _go_on(self) -> None:
        self._waiting = False
        while self._outbox and self._may_send():
            text = self._outbox.popleft()
            self._outbox_bytes -= len(text)
            self._channel.send_text(text)
        if self._outbox:
            return
        if self._held:
            self._held = False
            self._backend.release()
        self._wake()
        while self._inbox and not self._outbox and self._channel.open:
            payload, nbytes = self._inbox.popleft()
            self._inbox_bytes -= nbytes
            self._channel.guard(self._take, payload, nbytes)

    async def turn(self) -> None:
        """Wait until the front end has taken what was said; at once if the channel is over."""
        while self._outbox:
            event = anyio.Event()
            self._turns.append(event)
            await event.wait()

    def _wake(self) -> None:
        turns, self._turns = self._turns, []
        for event in turns:
            event.set()

    def ready(self, **members: object) -> None:
        self._channel.ready(**members)

    def begin(self) -> None:
        """Heed what has come before."""
        self._channel.release()

    def close(self, problem: Problem | None = None) -> None:
        self._channel.close(problem)

    @property
    def open(self) -> bool:
        return self._channel.open


def _decode(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        told = error
    # Lone surrogates are JSON to others: it is one value that is wrong, and not the channel.
    try:
        return json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise unclear(f"expected a JSON object: {told}") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def encode(message: Any) -> bytes:
    """JSON text, of lone surrogates too."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return json.dumps(message, separators=(",", ":")).encode()


def unclear(message: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f"dbus-json3: {message}")
