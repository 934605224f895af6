"""The life of one channel that the bridge serves itself, with callbacks and no task: for what moves bytes.

    ready     once, first
    data      any number, between ready and done; at most 64 KiB each, unless a message is a unit
    done      at most once
    close     once, last

A `Channel` stands between the front end and a `Payload`, which does what the channel is for. It checks the options
that all have in common, counts the window of `flow-control`, answers pings and tells of what was taken (`send-acks`)
in order, keeps text whole, bounds what waits, and keeps whatever goes wrong within the channel.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from spanbridge.protocol.control import bare, ending, frame_of, read_object
from spanbridge.protocol.flow import Ledger, Text, Window, whole_text
from spanbridge.protocol.frames import Buffer, Span, bodies, control_payload, encode, header, join, only_body
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TIMEOUT, Problem

from ...wire.source import Source
from ...wire.writer import Writer
from ..base import Port, Services
from .backlog import Account, Backlog
from .options import Options
from .payload import NOBODY, Payload
from .pings import Pings
from .terms import Terms, terms_of

MESSAGE_BYTES: Final = 64 << 10
"""Most bytes of one data message, where a message is no unit."""

_REPLACED: Final = 3  # bytes of U+FFFD: what one byte may become, and what was held back of a character
_TEXT_BYTES: Final = MESSAGE_BYTES - 3  # a piece of text may grow by what was held back of the one before


class Channel:
    """Made by a maker (payloads/base.py), which hands it its payload with `serve`. Raises Problem for options."""

    __slots__ = (
        "_account",
        "_acks",
        "_backlog",
        "_done",
        "_frames",
        "_front",
        "_go_on",
        "_input_over",
        "_is_ready",
        "_later",
        "_ledger",
        "_limits",
        "_log",
        "_loop",
        "_payload",
        "_pings",
        "_port",
        "_text",
        "_window",
        "closed",
        "ignores_done",
        "kind",
        "outlet",
        "problem",
        "raw",
    )

    def __init__(self, port: Port, options: Options | Terms, services: Services) -> None:
        self.kind, self.raw, flow_control, self._acks = options if isinstance(options, Terms) else terms_of(options)
        self._window = Window(services.context.limits.window_bytes) if flow_control else None
        self._port = port
        self._front = services.front
        self._log = services.context.log
        self._limits = services.context.limits
        self._loop = services.context.loop
        self._backlog = services.once(_backlog)
        # What many channels never need is made when they first do: an idle one is small.
        self._account: Account | None = None
        self._ledger: Ledger | None = None
        self._text: Text | None = None
        self._pings: Pings | None = None
        self._is_ready = False
        self._payload: Payload = NOBODY
        self._frames: Callable[[Span], None] | None = None
        self._go_on: Callable[[], None] | None = None  # who waits for a pong
        self._later: list[tuple[str | None, Any, int]] | None = None  # what is held until `release`
        self._done = False
        self._input_over = False
        self.closed = False
        self.problem: str | None = None  # of the close, once it is closed; of a kill, too
        self.outlet: Writer | None = None  # where data goes as it is, if there is such a place
        self.ignores_done = False  # the front end may say `done` as often as it likes

    def serve(self, payload: Payload, *, frames: Callable[[Span], None] | None = None) -> "Channel":
        """From now on `payload` has what comes. `frames` gets whole frames instead, several at a time, where nobody
        counts messages: without `flow-control` and `send-acks`."""
        self._payload = payload
        if self._window is None and not self._acks:
            self._frames = frames
        return self

    def forward(self, frames: Span) -> None:
        """Whole frames of this channel, as they are."""
        if self.open:
            self._port.forward(frames)

    # To the front end

    def ready(self, **members: object) -> None:
        self.control("ready", **members)
        self._is_ready = True
        if self._pings is not None:
            self._pings.ready()

    def control(self, command: str, **members: object) -> None:
        """A control message of this channel; `_` in a member's name stands for `-`."""
        if self.open:
            self._port.control(command, **members)

    @property
    def open(self) -> bool:
        """Whether anything may still be said on it."""
        return self._port.open

    @property
    def room(self) -> int:
        """Bytes to be read for the next message, where `may_send`: text may grow threefold on its way."""
        room = MESSAGE_BYTES if self._window is None else self._window.room
        if self.raw:
            return min(room, MESSAGE_BYTES)
        return max(min((room - _REPLACED) // _REPLACED, _TEXT_BYTES), 1) if self._window is not None else _TEXT_BYTES

    def may_send(self, go_on: Callable[[], None]) -> bool:
        """Whether the front end takes data now. If not, `go_on` is called once, when it is worth asking again."""
        if not self._port.open:
            return False
        if not self._window_takes():
            self._go_on = go_on
            return False
        return self._front.turn(go_on)

    def _window_takes(self) -> bool:
        return self._window is None or self._window.takes(1 if self.raw else 2 * _REPLACED)

    def send(self, data: Buffer) -> None:
        """Bytes that were read, as messages of at most 64 KiB; nothing of a character that is not whole yet."""
        if not self.raw:
            if self._text is None and isinstance(data, bytes) and data.isascii():
                self._send(data)  # as most of it is: whole as it stands
                return
            if self._text is None:
                self._text = Text()
            data = self._text.feed(data)
        self._send(data)

    def _send(self, data: Buffer) -> None:
        size = len(data)
        if size <= MESSAGE_BYTES:
            if size:
                self._message(data)
            return
        view = memoryview(data)
        begin = 0
        while begin < size:
            end = min(begin + MESSAGE_BYTES, size)
            while not self.raw and end < size and view[end] & 0xC0 == 0x80:  # within a character
                end -= 1
            self._message(view[begin:end])
            begin = end

    def send_unit(self, data: Buffer) -> None:
        """One message, whatever its length; text by itself."""
        self._message(data if self.raw else whole_text(data))

    def send_text(self, text: Buffer) -> None:
        """One message, whatever its length, which is known to be valid UTF-8."""
        self._message(text)

    def send_units(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Several messages, whatever their lengths, after `may_send`; each is valid UTF-8 by itself. Those for which
        there was no room any more."""
        if self._window is None:
            ident = self._port.ident
            self.forward(b"".join([header(ident, len(each)) + each for each in messages]))
            return ()
        for place, each in enumerate(messages):
            if place and not self._window_takes():
                return messages[place:]
            self._message(each)
        return ()

    def _message(self, data: Buffer) -> None:
        if self._port.open:
            self._port.send(data)
            if self._window is not None:
                self._count(len(data))

    def move(self, source: Source, nbytes: int) -> int:
        """A message of `nbytes` that lie readable in `source`, moved by the kernel as far as that goes. For raw
        channels, after `may_send`. How many bytes were not there any more: they were made up, so that the stream stays
        whole."""
        if not self.open:
            return 0
        lost = self._front.load(header(self._port.ident, nbytes), source, nbytes)
        self._count(nbytes)
        return lost

    def _count(self, nbytes: int) -> None:
        if self._window is not None and (sequence := self._window.sent(nbytes)) is not None:
            self._port.control("ping", sequence=sequence)

    def done(self) -> None:
        """No more data. Harmless a second time."""
        if self.open and not self._done:
            self._done = True
            if self._text is not None:
                self._send(self._text.end())
            self._port.control("done")

    def conclude(self, command: str, body: bytes, **members: object) -> bool:
        """`ready`, unless that was said, a control message, one message of data, done and close in one piece: what is
        small costs as little as it can. False where that cannot be; nothing was said then. Members by their names."""
        size = len(body)
        early = self._pings is not None and self._pings.early
        if early or self._done or size > MESSAGE_BYTES or not (self.raw or body.isascii()):
            return False
        if not self.open or not self._front.takes or (self._window is not None and self._window.room < size):
            return False
        port = self._port
        channel = port.channel
        port.last(
            b"".join(
                (
                    b"" if self._is_ready else bare("ready", channel),
                    frame_of({"command": command, "channel": channel, **members}),
                    encode(port.ident, body) if size else b"",
                    ending(channel),
                )
            )
        )
        return True

    def close(self, problem: Problem | None = None, **members: Any) -> None:
        """The channel is over; the payload's `end` is called. Harmless if it is already."""
        if self.open:
            if problem is not None:
                self.problem = problem.code
            self._port.close(problem, **members)

    def guard(self, call: Callable[..., None], *args: Any) -> None:
        """Call it; a Problem closes the channel, and a mistake of ours costs this channel alone."""
        try:
            call(*args)
        except Problem as problem:
            self.close(problem)
        except Exception as error:  # noqa: BLE001 - it must not end the session
            self._log.unforeseen(f"payload {self.kind}", error)
            self.close(Problem(INTERNAL_ERROR, f"{self.kind}: a mistake within the bridge"))

    # From the front end (base.Internal)

    def put(self, data: Span) -> None:
        if self._frames is not None and not self._input_over:
            self.guard(self._frames, data)
            return
        if isinstance(data, bytes) and (only := only_body(data)) is not None:
            self._came(only, len(only))
            return
        for body in bodies(data):
            if not self.open:
                return
            self._came(body, sum(map(len, body)) if isinstance(body, list) else len(body))

    def _came(self, data: Span, nbytes: int) -> None:
        if self._input_over:
            self.close(Problem(PROTOCOL_ERROR, f"{self.kind}: data after done"))
            return
        self._note(nbytes)
        self._hand(None, data, nbytes)

    @property
    def takes(self) -> bool:
        """Whether the end of a large message may be moved on, unread (`move_in`)."""
        return (
            self.outlet is not None
            and self.outlet.may_load
            and self.open
            and not self._input_over
            and self._later is None
        )

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        """A large message of which `held`, with its header, was read, and `missing` bytes lie readable in `source`:
        it goes to the outlet. As Writer.move."""
        if self.outlet is None:
            return 0
        (body,) = bodies(held)
        begun = bytes(join(body))
        self._note(missing + len(begun))
        return self.outlet.load(begun, source, missing)

    def _note(self, nbytes: int) -> None:
        """A data message of so many bytes has come."""
        if self._ledger is None:
            self._ledger = Ledger()
        self._ledger.came(nbytes)
        if self._acks:
            self._ledger.then(lambda: self._port.control("ack", bytes=nbytes))
        self._waits(nbytes)

    def _waits(self, nbytes: int) -> None:
        if self._account is None:
            self._account = Account(self._stuck, self._loop.time())
        self._backlog.came(self._account, nbytes)

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        if command == "ping":
            self._ping(frame)
        elif command == "pong":
            self._pong(frame)
        elif command == "done":
            if self._input_over and not self.ignores_done:
                self.close(Problem(PROTOCOL_ERROR, f"{self.kind}: done after done"))
                return
            self._input_over = not self.ignores_done
            self._hand("done", None, 0)
        elif command == "close":
            problem = read_object(control_payload(frame)).get("problem")
            self.problem = problem if isinstance(problem, str) else None
        else:
            self._hand(command, frame, 0)

    def _ping(self, frame: bytes) -> None:
        if self._pings is None:
            self._pings = Pings(self._port, self._limits, self._log, is_ready=self._is_ready)
        self.guard(self._pings.came, frame, self._ledger)

    def _pong(self, frame: bytes) -> None:
        window, go_on = self._window, self._go_on
        if window is None or not window.pong(read_object(control_payload(frame)).get("sequence")):
            return
        if go_on is not None:
            self._go_on = None
            self.guard(go_on)

    def _hand(self, command: str | None, what: Any, nbytes: int) -> None:
        if not self._port.open:
            return
        if self._later is not None:
            self._later.append((command, what, nbytes))
            if not nbytes:  # it takes memory all the same
                self._waits(len(what or b"-"))
        elif command is None:
            self.guard(self._payload.data, what, nbytes)
        elif command == "done":
            self.guard(self._payload.done)
        else:
            self.guard(self._payload.command, command, read_object(control_payload(what)))

    def hold(self) -> None:
        """Keep what comes, in order, until `release`: there is nothing yet that it could go to."""
        if self._later is None:
            self._later = []

    def release(self) -> None:
        """Hand over what was held. Harmless where nothing is."""
        later, self._later = self._later or (), None
        if later and self._account is not None:
            self._backlog.forget(self._account)
            for _, _, nbytes in later:  # but for the data, it waits no more
                self._waits(nbytes)
        for command, what, nbytes in later:
            self._hand(command, what, nbytes)

    def taken(self, nbytes: int) -> None:
        """So many bytes of `Payload.data` were passed on, in order."""
        if self._account is not None and self._ledger is not None and self._port.open:
            self._backlog.taken(self._account, nbytes, self._ledger.waiting)
            self._ledger.taken(nbytes)

    def take_all(self) -> None:
        """Nobody will have what was handed over and not taken: it is dropped, which counts as taken."""
        if self._ledger is not None:
            self.taken(self._ledger.waiting)

    def end(self) -> None:
        if not self.closed:
            self.closed = True
            self._later = None
            self._go_on = None
            self._frames = None
            if self._account is not None:
                self._backlog.forget(self._account)
            # Nothing must be left that leads back here: channels that come and go are freed at once.
            payload, self._payload, self._account, self._ledger = self._payload, NOBODY, None, None
            self.guard(payload.end)

    def _stuck(self) -> None:
        self.close(Problem(TIMEOUT, f"{self.kind}: nothing was taken for a long time (stuck_seconds)"))


def _backlog(services: Services) -> Backlog:
    return Backlog(services.context, services.front)
