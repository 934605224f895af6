"""A recording: what two programs said to each other, one JSON object a line (docs/tools.md, "A recording")."""

import base64
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Literal

import msgspec

from spanbridge.protocol.control import read_message, read_object, written
from spanbridge.protocol.frames import LARGEST_FRAME
from spanbridge.protocol.problems import Problem

from .follower import Follower, Garbage, Seen
from .misread import no_beginning, no_record
from .redact import Buses, may_tell, redact

VERSION: Final = 1
LINE_BYTES: Final = 8 * LARGEST_FRAME  # the longest line read: a frame, each byte of it escaped, and what is around it

Direction = Literal["in", "out"]
"""`in`: towards the command that was recorded, on its stdin. `out`: from it, on its stdout."""


class RecordingError(Exception):
    """A file that is no recording; the text says at which line, and what was expected."""


class Beginning(msgspec.Struct, frozen=True):
    """The first line. `started` is the time of day, UTC; `payload` what was kept of each: "all", or so many bytes."""

    recording: int
    started: str
    command: list[str]
    payload: str


class Record(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Any other line: a control message, a data frame, bytes that are no frames, the end of a direction, or of it all.

    `t` is in seconds since the beginning. `size` is in bytes, that of the whole payload.
    """

    t: float
    dir: Direction | None = None
    channel: str | None = None
    message: dict[str, Any] | None = None
    size: int = 0
    payload: str | None = None
    base64: str | None = None  # instead of `payload`, where that is not UTF-8
    shortened: bool = False
    redacted: list[str] = []
    garbage: str | None = None
    descriptors: int = 0  # passed outside of all frames, with `size` bytes
    end: bool = False  # nothing more in this direction
    exit: int | None = None  # the exit status of the command

    @property
    def data(self) -> bytes:
        """As much of the payload as was kept."""
        if self.base64 is not None:
            return base64.b64decode(self.base64, validate=True)
        return (self.payload or "").encode()


def line_of(record: Record) -> bytes:
    """A record as it stands in a file. Its message may have what browsers write, half a character or 1e400."""
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return written(msgspec.to_builtins(record, builtin_types=(msgspec.Raw,)))


class Describer:
    """Makes records of the chunks of both directions. `keep`: how many bytes of a payload, None for all."""

    __slots__ = ("_buses", "_followers", "_keep")

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._buses = Buses()
        self._followers: dict[Direction, Follower] = {"in": Follower(keep), "out": Follower(keep)}

    def feed(self, direction: Direction, chunk: bytes, t: float) -> Iterator[Record]:
        """The records of what `chunk` makes whole."""
        for each in self._followers[direction].feed(chunk):
            yield self.describe(direction, each, t)

    def describe(self, direction: Direction, found: Seen | Garbage, t: float) -> Record:
        """The record of one frame."""
        if isinstance(found, Garbage):
            return self._garbage(direction, found, t)
        return self._data(direction, found, t) if found.channel else self._message(direction, found, t)

    def end(self, direction: Direction, t: float) -> Record:
        """The record of the end of a direction; its `size` is that of the frame that was not whole."""
        return Record(t, direction, end=True, size=self._followers[direction].unfinished)

    def _message(self, direction: Direction, seen: Seen, t: float) -> Record:
        try:
            message = read_message(seen.payload)[2]
            written(message)
        except (Problem, RecursionError):
            reason = "a control message that is no JSON object with a command"
            return self._garbage(direction, Garbage(reason, seen.payload, seen.size), t)
        self._buses.heed(message)
        shown, names = redact(message)
        return Record(t, direction, message=shown, size=seen.size, redacted=names)

    def _data(self, direction: Direction, seen: Seen, t: float) -> Record:
        try:
            channel, garbage = seen.channel.decode(), None
        except UnicodeDecodeError:
            channel, garbage = seen.channel.decode(errors="backslashreplace"), "a channel id that is not UTF-8"
        shown, replaced = self._buses.redact(channel, seen.payload, seen.whole)
        kept = self._kept(shown or b"")
        shortened = len(kept) < (seen.size if shown is None or not replaced else len(shown))
        return Record(
            t,
            direction,
            channel=channel,
            size=seen.size,
            shortened=shortened,
            redacted=["payload"] if replaced else [],
            garbage=garbage,
            **_as_text(kept, shortened),
        )

    def _garbage(self, direction: Direction, found: Garbage, t: float) -> Record:
        kept = b"" if may_tell(found.data) else self._kept(found.data)
        shortened = len(kept) < found.size
        return Record(
            t, direction, size=found.size, shortened=shortened, garbage=found.reason, **_as_text(kept, shortened)
        )

    def _kept(self, data: bytes) -> bytes:
        return data if self._keep is None else data[: self._keep]


def _as_text(data: bytes, cut: bool) -> dict[str, Any]:
    """The member of a record that has `data`; `cut`: a character at its end may be incomplete."""
    if not data:
        return {}
    try:
        return {"payload": data.decode()}
    except UnicodeDecodeError as error:
        if cut and error.start > 0 and error.end == len(data) and "unexpected end" in error.reason:
            return {"payload": data[: error.start].decode()}
    return {"base64": base64.b64encode(data).decode()}


def read_recording(file: BinaryIO) -> Iterator[tuple[int, Record]]:
    """The records of a file, with the numbers of their lines. Raises RecordingError."""
    first = True
    for number, line in enumerate(_lines(file), 1):
        try:
            if first:
                version = msgspec.json.decode(line, type=Beginning).recording
                if version != VERSION:
                    raise RecordingError(f"line 1: a recording of version {version}, expected {VERSION}")
                first = False
            else:
                record = _record(line)
                _ = record.data
                yield number, record
        except (msgspec.MsgspecError, Problem, ValueError, RecursionError):
            why = no_beginning(line) if first else no_record(line)
            raise RecordingError(f"line {number}: {why}") from None
    if first:
        raise RecordingError("it is empty: expected a recording, as `spanbridge tap --format json` writes it")


_decoder: Final = msgspec.json.Decoder(Record)


def _record(line: bytes) -> Record:
    """What `line_of` has written."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        members = read_object(line)
        message = members.pop("message", None)
        if message is not None and not isinstance(message, dict):
            raise
        return msgspec.structs.replace(msgspec.convert(members, Record), message=message)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES):
        if not line.endswith(b"\n") and len(line) == LINE_BYTES:
            raise RecordingError(f"a line of more than {LINE_BYTES} bytes")
        yield line
