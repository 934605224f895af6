"""An open on its way to whoever will serve it."""

from typing import Any, Protocol, cast

import msgspec

from spanbridge.manifests.template import Plan
from spanbridge.protocol.frames import Buffer, Span


def let_go(piece: Buffer) -> Buffer:
    """A copy of a view that is the smaller part of its chunk, which would stay in memory with it."""
    if isinstance(piece, memoryview) and 2 * len(piece) < len(cast("bytes", piece.obj)):
        return bytes(piece)
    return piece


class Rules(Protocol):
    """The rules among which an open finds one: manifests.router.Router."""

    def find(self, message: dict[str, Any], after: int, /) -> int: ...
    def plan(self, position: int, /) -> Plan: ...
    def heeds_channel(self, position: int, /) -> bool: ...


class Opening:
    """One open that nobody has taken yet, with all that the front end has sent on its channel meanwhile.

    `frame` is the open as it is passed on, `came` as the front end has written it; `later` are (command, span) pairs in
    order, if any: a control frame with its command, or data with None. `size` is the bytes of all that is passed on.
    `tried` is the position in `router` of the rule that was tried last, `failures` what became of those that were.
    `given_back`: it was handed to a helper that has ended without reading it.
    """

    __slots__ = (
        "came",
        "failures",
        "frame",
        "given_back",
        "ident",
        "later",
        "message",
        "router",
        "size",
        "tried",
    )

    def __init__(
        self, ident: bytes, frame: bytes, message: dict[str, Any], router: Rules, came: bytes | None = None
    ) -> None:
        self.ident = ident
        self.came = came or frame
        self.frame = frame
        self.message = message
        self.router = router
        self.tried = -1
        self.failures: tuple[str, ...] = ()
        self.given_back = False
        self.later: list[tuple[str | None, Span]] | None = None  # made when it is needed: thousands may wait
        self.size = len(frame)

    def again(self, ident: bytes, frame: bytes) -> "Opening":
        """The same open for another channel, in which alone `frame` differs."""
        return Opening(ident, frame, {**self.message, "channel": ident.decode()}, self.router)

    def replace(self, message: dict[str, Any], frame: bytes) -> None:
        """Another open is to be passed on in its place."""
        self.size += len(frame) - len(self.frame)
        self.message = message
        self.frame = frame

    def handed_over(self) -> None:
        """What had come meanwhile has been passed on."""
        self.later = None
        self.size = len(self.frame)

    def add(self, command: str | None, span: Span) -> int:
        """Keep what came for the channel; its bytes."""
        if isinstance(span, list):
            span = [let_go(piece) for piece in span]
            size = sum(map(len, span))
        else:
            span = let_go(span)
            size = len(span)
        if self.later is None:
            self.later = []
        self.later.append((command, span))
        self.size += size
        return size


class Handed(msgspec.Struct, gc=False):
    """An open that a helper was given and has said nothing of.

    `opening` is that, or one that differs from it in its channel alone: thousands may be waited for, and what they have
    in common is kept once. `place` is where it begins in the helper's stream, `at` when it was given, in loop time.
    """

    opening: Opening
    place: int
    at: float

    def found(self, ident: bytes, frame: bytes) -> Opening:
        """The open itself, which is `frame`."""
        return self.opening if self.opening.ident == ident else self.opening.again(ident, frame)
