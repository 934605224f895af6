"""How a byte stream is cut into frames, or rather into runs of them.

Goals
-----
* What is only passed on is never decoded, joined or encoded anew.
* The cost of a frame does not grow with its size, nor with the number of open channels.
* What is read in any number of pieces gives the same frames.

How
---
A chunk, as read, is cut into *spans*: runs of whole data frames that go to the same place. A span is one slice of the
chunk, whatever number of frames it holds. Four steps, each tried where the one before it does not apply:

1. Frames with the same header bytes lie one stride apart. Column i of all their headers is the slice
   ``chunk[pos + i::stride]``, so a run of n frames is recognised with one slice a header byte: about 10 ns a frame.
2. Frames of the same length but of several channels lie one stride apart too. Their length lines are recognised in
   the same way, and their ids are looked up as a set: about 150 ns a frame. Where they go to several places they are
   gathered for each place.
3. Small frames of any lengths that go to one place, where many of them come, are recognised by a regular expression
   (mixed.py): 70 ns a frame of one channel, 250 of several.
4. Any other frame is read by itself: about 400 ns.

A frame that goes on past its chunk is held, in pieces, until it is whole: half a frame must never be passed on, since
whoever sends it may end before the rest.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from . import mixed
from .frames import LARGEST_FRAME, LENGTH_DIGITS, LONGEST_CONTROL, LONGEST_ID, Buffer, Span
from .runs import agreeing, targets

Route = TypeVar("Route")

_SIZES_KEPT = 4096  # length lines remembered; more distinct ones than that are forgotten and read again
_SMALL = 4_096  # pieces below this are copied: a view would keep a whole chunk alive for a few bytes
_PROBE = 4  # frames of a run looked at ahead; four times as many each time they all agree
_RUN_SIZE = 4_096  # frames longer than this are read one by one: the bytes cost more than the frames


class FrameError(ValueError):
    """The stream is not a sequence of frames. `offset` is where the frame begins, in bytes from the stream's start."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(f"{message} (frame at byte {offset} of the stream)")
        self.offset = offset


class Mark:
    """What `Splitter.feed` gives in place of a route."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


CONTROL: Final = Mark("CONTROL")
UNROUTED: Final = Mark("UNROUTED")


class Splitter(Generic[Route]):
    """Cuts one stream of frames into spans by where they go.

    `routes` maps the ids of open channels to where their frames go. It belongs to the caller, who may change it while
    iterating over `feed` whenever a control frame has been given, and between two chunks.

    `frame_bytes`, `control_bytes` and `id_bytes` bound the length of a frame, of a control message, and of a channel
    id.
    """

    __slots__ = (
        "_control_bytes",
        "_frame_bytes",
        "_head",
        "_held_at",
        "_id_bytes",
        "_ident",
        "_mixed",
        "_pieces",
        "_sizes",
        "header_bytes",
        "missing",
        "offset",
        "routes",
        "seen",
    )

    def __init__(
        self,
        routes: dict[bytes, Route],
        *,
        frame_bytes: int = LARGEST_FRAME,
        control_bytes: int = LONGEST_CONTROL,
        id_bytes: int = LONGEST_ID,
    ) -> None:
        self.routes = routes
        self.offset = 0  # where the control frame, or the one without a route, that was given last begins
        self._frame_bytes = frame_bytes
        self._control_bytes = control_bytes
        self._id_bytes = id_bytes
        # Its runs are within these limits, whatever is in them.
        mixes = frame_bytes >= mixed.LONGEST and id_bytes >= mixed.LONGEST_ID
        self._mixed = mixed.Mixed() if mixes else None
        self._sizes: dict[bytes, int] = {}  # length line, LF included -> bytes after it
        self.seen = 0  # bytes of the stream fed so far, or handed over
        self._head = b""  # an unfinished header, to be read again with the next chunk
        self._pieces: list[Buffer] = []  # a frame whose header is known and that is not whole
        self.missing = 0  # bytes missing from it: the first of what is fed next
        self._ident = b""
        self._held_at = 0  # where it begins
        self.header_bytes = 0  # of its header

    @property
    def held(self) -> int:
        """Bytes held of a frame that is not whole; 0 between two frames."""
        return len(self._head) + sum(map(len, self._pieces))

    @property
    def unended(self) -> bool:
        """Whether a frame, or its header, was begun and is not whole."""
        return self.missing > 0 or self._head != b""

    @property
    def begun(self) -> int:
        """Length of the data frame that is not whole, as far as it is held and missing; 0 where there is none."""
        return self.missing and self.missing + sum(map(len, self._pieces))

    @property
    def unfinished(self) -> Route | None:
        """Where the data frame goes that is not whole; None where there is none, or it goes nowhere."""
        return self.routes.get(self._ident) if self.missing else None

    @property
    def stray(self) -> bytes:
        """The id of the data frame that is not whole and has no route; empty where there is none."""
        return self._ident if self.missing and self._ident not in self.routes else b""

    def drop(self) -> None:
        """Hold nothing any more: the stream is over."""
        self._pieces = []
        self._head = b""
        self.missing = 0

    def hand_over(self) -> Span:
        """What is held of the frame that is not whole.

        The `missing` bytes are then the caller's to see to: what is fed next begins after them.
        """
        pieces, self._pieces = self._pieces, []
        self.seen += self.missing
        self.missing = 0
        return pieces

    def lone(self, chunk: bytes) -> Route | Mark | None:
        """Where a chunk goes that is one whole frame with a route, `CONTROL` for a control frame; None for any other.

        What it gives None for must be fed, anything else is done with. It is for those who send one small frame at a
        time: a quarter of what `feed` takes to begin and end.
        """
        if self.missing or self._head:
            return None
        body = chunk.find(b"\n", 0, LENGTH_DIGITS + 1) + 1
        size = len(chunk)
        if body + self._sizes.get(chunk[:body], 0) != size:
            return None
        cut = chunk.find(b"\n", body)
        if cut > body:
            if cut - body > self._id_bytes:
                return None
            route: Route | Mark | None = self.routes.get(chunk[body:cut])
        else:
            route = CONTROL if cut == body and size <= self._control_bytes else None
        if route is not None:
            self.offset = self.seen
            self.seen += size
        return route

    def feed(self, chunk: bytes) -> Iterator[tuple[Route | Mark, Span]]:
        """Give (route, span) pairs in the order of the stream.

        A control frame comes alone, whole, as (`CONTROL`, frame). A frame whose channel has no route comes as
        (`UNROUTED`, channel id). A frame that was read in pieces comes as a list of them. The order of the
        spans of one route is the order of their frames; that between routes may differ.

        Raises FrameError where the bytes are no frame; what came before it has been given out by then.
        """
        self.seen += len(chunk)
        data, pos = chunk, 0
        if self.missing:
            pos = min(self.missing, len(data))
            self._hold(data, 0, pos)
            self.missing -= pos
            if self.missing:
                return
            self.offset = self._held_at
            yield self._release()
        elif self._head:
            data = self._head + chunk
            self._head = b""

        end = len(data)
        base = self.seen - end  # where data[0] lies in the stream
        find, get, sizes = data.find, self.routes.get, self._sizes
        route: Route | None = None  # where data[start:pos] goes
        start = pos
        bins: dict[Route, list[Buffer]] = {}  # earlier spans of this chunk, not yet given out
        ahead = _PROBE
        alone = 0  # frames read by themselves, one after another
        patience = self._mixed.patience if self._mixed is not None else end
        error: FrameError | None = None
        try:
            while pos < end:
                body = find(b"\n", pos, pos + LENGTH_DIGITS + 1) + 1
                line = data[pos:body]
                length = sizes.get(line) or self._length(data, pos, body, base + pos)
                if not length:
                    break
                stop = body + length
                cut = find(b"\n", body, stop)
                if not 0 < cut - body <= self._id_bytes:  # a control frame, or no channel line as yet, or none at all
                    if cut != body:
                        self._check_unended((cut if cut > 0 else end) - body, length, base + pos)
                        break
                    if length > self._control_bytes:
                        most = f"{self._control_bytes} bytes (control_bytes)"
                        message = f"control message of {length} bytes, above the limit of {most}"
                        raise FrameError(base + pos, message)
                    if stop > end:
                        break
                    if route is not None:
                        bins.setdefault(route, []).append(_cut(data, start, pos))
                        route = None
                    if bins:
                        yield from _given(bins)
                        bins.clear()
                    self.offset = base + pos
                    yield CONTROL, data[pos:stop]
                    start = pos = stop
                    continue
                if stop > end:
                    break
                ident = data[body:cut]
                found = get(ident)
                if found is not route:
                    if route is not None:
                        bins.setdefault(route, []).append(_cut(data, start, pos))
                    route = found
                    start = pos
                    if found is None:
                        yield from _given(bins)
                        bins.clear()
                if found is None:
                    self.offset = base + pos
                    yield UNROUTED, ident
                    start = pos = stop
                    continue

                size = stop - pos
                last = stop + size  # two more frames must follow, or there is no run worth looking for
                if last + size > end or size > _RUN_SIZE or not data.startswith(line, last):
                    alone += 1
                    if alone >= patience and self._mixed is not None:
                        pos = self._mixed.run(data, pos, stop, get, found)
                        patience = self._mixed.patience
                        alone = 0
                    else:
                        pos = stop
                    continue
                limit = min(ahead, (end - pos) // size)
                header = data[pos : cut + 1]
                if data.startswith(header, stop):
                    run = agreeing(data, pos, size, header, limit)
                    pos += run * size
                elif data.startswith(line, stop):
                    run = agreeing(data, pos, size, line, limit)
                    places = targets(data, pos, size, run, body - pos, cut - body, get)
                    run = len(places)
                    if len(set(places)) == 1:
                        pos += run * size
                    else:
                        if start < pos:
                            bins.setdefault(found, []).append(_cut(data, start, pos))
                        for place in set(places).difference(bins):
                            bins[place] = []
                        for place in places:
                            bins[place].append(data[pos : pos + size])
                            pos += size
                        route = None
                        start = pos
                else:
                    run, pos = 1, stop
                ahead = max(_PROBE, 4 * run if run == limit else run)
        except FrameError as found_error:
            error = found_error  # once what came before it has been given out
        if route is not None:
            if bins:
                bins.setdefault(route, []).append(_cut(data, start, pos))
            else:
                yield route, _cut(data, start, pos)
        yield from _given(bins)
        if error is not None:
            raise error
        if pos < end:
            self._begin(data, pos, base + pos)

    def _check_unended(self, found: int, length: int, offset: int) -> None:
        """A frame whose channel id does not end within the `found` bytes that are there: may it still?"""
        if found >= length:
            raise FrameError(offset, f"no line feed ends the channel id within {length} bytes")
        if found > self._id_bytes:
            raise FrameError(offset, f"channel id longer than the limit of {self._id_bytes} bytes (channel_id_bytes)")

    def _length(self, data: bytes, pos: int, body: int, offset: int) -> int:
        """The number on the length line at `pos`, 0 while it may still go on in the next chunk."""
        digits = data[pos : body - 1] if body else data[pos : pos + LENGTH_DIGITS + 1]
        if digits and (not digits.isdigit() or digits[0] == 0x30):
            raise FrameError(offset, f"expected a frame length, a decimal number, found {_shown(digits)}")
        if len(digits) > LENGTH_DIGITS:
            raise FrameError(offset, f"expected at most {LENGTH_DIGITS} digits of frame length, found {_shown(digits)}")
        if not body:
            return 0
        if not digits:
            raise FrameError(offset, "expected a frame length, found an empty line")
        length = int(digits)
        if length > self._frame_bytes:
            most = f"{self._frame_bytes} bytes (frame_bytes)"
            raise FrameError(offset, f"frame of {length} bytes, above the limit of {most}")
        if len(self._sizes) >= _SIZES_KEPT:
            self._sizes.clear()
        self._sizes[data[pos:body]] = length
        return length

    def _begin(self, data: bytes, pos: int, offset: int) -> None:
        """Keep what is left of a chunk: a header that goes on, or a frame that does."""
        body = data.find(b"\n", pos) + 1
        cut = data.find(b"\n", body) if body else -1
        if cut < 0:
            self._head = data[pos:]
            return
        self._ident = data[body:cut]
        self._held_at = offset
        self.header_bytes = cut + 1 - pos
        self.missing = body + int(data[pos : body - 1]) - len(data)
        self._hold(data, pos, len(data))

    def _hold(self, data: bytes, start: int, stop: int) -> None:
        piece = _cut(data, start, stop)
        # A frame that trickles in would be a list of tiny objects, each of them ten times its bytes.
        if self._pieces and len(piece) < _SMALL:
            last = self._pieces[-1]
            if isinstance(last, bytearray):
                last += piece
                return
            piece = bytearray(piece)
        self._pieces.append(piece)

    def _release(self) -> tuple[Route | Mark, Span]:
        pieces, self._pieces = self._pieces, []
        if not self._ident:
            return CONTROL, b"".join(pieces)
        route = self.routes.get(self._ident)
        return (UNROUTED, self._ident) if route is None else (route, pieces)


def _cut(data: bytes, start: int, stop: int) -> Buffer:
    """data[start:stop], without a copy where it is large."""
    if stop - start < _SMALL:
        return data[start:stop]
    return data if stop - start == len(data) else memoryview(data)[start:stop]


def _given(bins: dict[Route, list[Buffer]]) -> Iterator[tuple[Route, Buffer]]:
    for route, pieces in bins.items():
        if len(pieces) == 1:
            yield route, pieces[0]
        elif all(type(piece) is bytes for piece in pieces):
            yield route, b"".join(pieces)
        else:
            for piece in pieces:
                yield route, piece


def _shown(data: bytes) -> str:
    return repr(bytes(data[:40]))[1:]
