"""Whoever has a channel: a helper, an open that waits for one, or what the bridge serves itself."""

import errno
from collections.abc import Callable
from typing import Final, Protocol

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..helpers.opening import Opening
from ..log import Log
from ..payloads.base import Internal, Port
from ..wire.source import Source

WAITING: Final = "waiting"

_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)


class Sink(Protocol):
    """Whoever has a channel. `kind` is what `spanbridge status` calls it."""

    @property
    def kind(self) -> str: ...

    @property
    def takes(self) -> bool:
        """Whether the end of a large frame may be moved on to it, unread."""

    def put(self, data: Span) -> None:
        """Whole data frames of its channels."""

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        """A large frame of which `held` was read; the other `missing` bytes lie in `source`. How many were lost."""

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """A control message for one of its channels, any but `close`."""

    def close(self, ident: bytes, frame: bytes) -> bool:
        """The front end, or the bridge in its place, has closed a channel. True: an answer may come."""

    def disconnect(self, ident: bytes, frame: bytes) -> bool:
        """The front end has gone. False: the channel is over; True: what may still come is heard."""


class Keeper(Protocol):
    """Whoever an open waits for: a helper that is not ready, or the superuser."""

    def keep(self, opening: Opening, command: str | None, span: Span) -> None:
        """More has come for an open that waits."""

    def forget(self, opening: Opening) -> None:
        """It was closed by the front end."""


class Waiting:
    """The sink of an open that nobody has taken yet: keeps all that comes, in order."""

    __slots__ = ("_keeper", "opening")
    kind = WAITING
    takes = False

    def __init__(self, opening: Opening, keeper: Keeper) -> None:
        self.opening = opening
        self._keeper = keeper

    def put(self, data: Span) -> None:
        self._keeper.keep(self.opening, None, data)

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        raise AssertionError("it does not take")

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        self._keeper.keep(self.opening, command, frame)

    def close(self, ident: bytes, frame: bytes) -> bool:
        self._keeper.forget(self.opening)
        return False

    def disconnect(self, ident: bytes, frame: bytes) -> bool:
        """The close is to be the last that the helper hears of the channel."""
        self._keeper.keep(self.opening, "close", frame)
        return True


class Own:
    """The sink of a channel that the bridge serves itself. `put` and `command` are the channel's, bound here once: a
    frame must not pay for a call in between."""

    __slots__ = ("_channel", "_forget", "_port", "_to_front", "command", "kind", "move_in", "put")

    def __init__(
        self,
        ident: bytes,
        make: Callable[[Port], Internal],
        *,
        to_front: Callable[[Span], None],
        forget: Callable[[bytes], None],
    ) -> None:
        """Have the channel made. `forget` is called when it closes itself. Raises Problem where it cannot be."""
        self._to_front = to_front
        self._forget = forget
        self._port = Port(ident.decode(), to_front, self._closes)
        try:
            self._channel = make(self._port)
        except Exception:
            self._port.shut()
            raise
        self.put = self._channel.put
        self.command = self._channel.command
        self.move_in = self._channel.move_in
        self.kind = self._channel.kind

    def made(self) -> None:
        """It is in the table now; it may have closed itself while it was made."""
        self._port.made()

    @property
    def takes(self) -> bool:
        return self._channel.takes

    def fail(self, problem: Problem) -> None:
        """Close it, if it is not closed yet."""
        self._port.close(problem)

    def close(self, ident: bytes, frame: bytes) -> bool:
        self._port.shut()
        try:
            self._channel.command(ident, "close", frame)
        finally:
            self._channel.end()
        return False

    def disconnect(self, ident: bytes, frame: bytes) -> bool:
        self._port.shut()
        self._channel.end()
        return False

    def _closes(self, ident: bytes, frame: bytes) -> None:
        self._forget(ident)
        self._to_front(frame)
        self._channel.end()


def problem_of(kind: str, error: Exception, log: Log) -> Problem:
    """What a channel of ours is closed with if it raises this, which is logged."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR:  # the first use of a part reads it
        log.warning("no-descriptor", payload=kind, why=error.strerror)
        return Problem(INTERNAL_ERROR, f"{kind}: {error.strerror}")
    log.unforeseen(f"payload {kind}", error)
    return Problem(INTERNAL_ERROR, f"{kind}: a mistake within the bridge")
