"""Frames of a stream that somebody else acts on: each in order, with as much of its payload as is wanted."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from spanbridge.protocol.frames import Span, control_payload, join
from spanbridge.protocol.splitter import CONTROL, FrameError, Splitter

HELD_BYTES: Final = 262_144  # of a frame that is not whole, before all but the beginning of its payload is let go


class Seen(NamedTuple):
    """One frame. `payload` may be only the beginning of it; `size` is the size of all of it, in bytes."""

    channel: bytes  # empty: a control message
    payload: bytes
    size: int

    @property
    def whole(self) -> bool:
        return len(self.payload) == self.size


class Garbage(NamedTuple):
    """Bytes that are no frames. `reason` is given for the first of them, with which the frames end for good.

    `data` is empty, though `size` is not, for those that did not begin within the chunk that they were found in.
    """

    reason: str
    data: bytes
    size: int


class Follower:
    """Follows one stream. `keep`: how many bytes of a payload are wanted of a frame that is large, None for all."""

    __slots__ = ("_begun", "_broken", "_fed", "_keep", "_skip", "_splitter")

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._splitter: Splitter[bool] = Splitter(_Everywhere())
        self._fed = 0
        self._broken = False
        self._begun: Seen | None = None  # a frame of which the rest is not wanted
        self._skip = 0  # bytes of that rest

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that has begun and is not whole."""
        if self._begun is not None:
            return self._begun.size - self._skip
        return self._splitter.held

    def feed(self, chunk: bytes) -> Iterator[Seen | Garbage]:
        """The frames that `chunk` makes whole, in the order of the stream. To be iterated over to its end."""
        if self._broken:
            yield Garbage("", b"", len(chunk))
            return
        if self._begun is not None:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            self._fed += skipped
            chunk = chunk[skipped:]
            if self._skip:
                return
            yield self._begun
            self._begun = None
        try:
            for route, span in self._splitter.feed(chunk):
                if route is CONTROL:
                    payload = control_payload(bytes(join(span)))
                    yield Seen(b"", payload, len(payload))
                else:
                    yield from _frames(span)
        except FrameError as error:
            self._broken = True
            start = error.offset - self._fed
            yield Garbage(str(error), chunk[start:] if start >= 0 else b"", len(chunk) - start)
            return
        self._fed += len(chunk)
        self._let_go()

    def _let_go(self) -> None:
        if self._keep is None or not self._splitter.unfinished or self._splitter.held < HELD_BYTES + self._keep:
            return
        self._skip = self._splitter.missing
        held = bytes(join(self._splitter.hand_over()))
        channel, payload = _body(held, held.index(b"\n") + 1, len(held))
        self._begun = Seen(channel, payload[: self._keep], len(payload) + self._skip)


class _Everywhere(dict[bytes, bool]):
    """A table of routes in which every channel has one, the same for all: so their order is kept."""

    def get(self, ident: bytes, default: object = None) -> bool | None:  # type: ignore[override]
        return bool(ident) or None


def _frames(span: Span) -> Iterator[Seen]:
    data = bytes(join(span))
    pos, end = 0, len(data)
    while pos < end:
        body = data.index(b"\n", pos) + 1
        stop = body + int(data[pos : body - 1])
        channel, payload = _body(data, body, stop)
        yield Seen(channel, payload, len(payload))
        pos = stop


def _body(data: bytes, body: int, stop: int) -> tuple[bytes, bytes]:
    cut = data.index(b"\n", body)
    return data[body:cut], data[cut + 1 : stop]
