"""A recording as a script: what one side is to send, after which of the frames that it had received by then."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from spanbridge.protocol.control import frame_of
from spanbridge.protocol.frames import encode

from .recording import Direction, Record, RecordingError

RECORDING_BYTES: Final = 1 << 30
"""Payloads of a recording, in all: it is kept in memory while it is played."""

Kind: TypeAlias = tuple[str, str]
"""The command of a control message, or `data`, and the channel: frames of one kind come in the order they were sent."""


class Step(NamedTuple):
    """A frame, or the end of a direction. `number` counts frames, `line` is that of the file."""

    what: Literal["send", "hang up", "expect", "expect end"]
    number: int
    line: int
    record: Record


def steps(records: Iterable[tuple[int, Record]], mine: Direction) -> tuple[list[Step], int | None]:
    """The steps of the side that sent `mine`, and the recorded exit status. Raises RecordingError.

    Whoever is started speaks first: its `init` waits for nothing, though the other may have been recorded earlier.
    """
    found: list[Step] = []
    number = size = 0
    status = None
    for line, record in records:
        if record.dir is None:
            status = record.exit if record.exit is not None else status
            continue
        own = record.dir == mine
        if record.end:
            found.append(Step("hang up" if own else "expect end", number, line, record))
            continue
        number += 1
        size += len(record.payload or record.base64 or "") + record.size
        if size > RECORDING_BYTES:
            raise RecordingError(
                f"line {line}: more than {RECORDING_BYTES} bytes, which is the most that can be played"
            )
        if own:
            _check_playable(number, line, record)
        step = Step("send" if own else "expect", number, line, record)
        if own and mine == "out" and kind(record)[0] == "init" and not any(each.what == "send" for each in found):
            found.insert(0, step)
        else:
            found.append(step)
    return found, status


def _check_playable(number: int, line: int, record: Record) -> None:
    where = f"frame {number} (line {line})"
    if record.garbage is not None or record.descriptors:
        what = "no frame" if record.garbage is not None else "a descriptor that was passed"
        raise RecordingError(f"{where} is {what}, and cannot be sent again")
    if record.shortened:
        raise RecordingError(
            f"{where}: only {len(record.data)} of {record.size} bytes of its payload were recorded, so it cannot be "
            "sent again as it was; record with `tap --payload all`"
        )
    if record.message is None and record.channel is None:
        raise RecordingError(f"{where}: neither a message nor a channel")
    if record.message is None and (not record.channel or "\n" in record.channel):
        raise RecordingError(f"{where}: channel {record.channel!r}: expected an id without a line feed")
    if record.message is not None and not isinstance(record.message.get("command"), str):
        raise RecordingError(f"{where}: a message without a command")
    if record.redacted and record.redacted != ["response"]:
        raise RecordingError(
            f"{where}: {', '.join(record.redacted)} was left out, so it cannot be sent again as it was"
        )


def kind(record: Record) -> Kind:
    """What a frame is counted as."""
    if record.message is None:
        return ("data" if record.garbage is None else "no frame", lane(record))
    return str(record.message.get("command")), lane(record)


def lane(record: Record) -> str:
    """The channel that a frame is about, empty for the transport: the order of frames is kept within one."""
    if record.message is None:
        return record.channel or ""
    channel = record.message.get("channel")
    return channel if isinstance(channel, str) else ""


def frame(record: Record) -> bytes:
    """The frame that was recorded."""
    if record.message is not None:
        return frame_of(record.message)
    return encode((record.channel or "").encode(), record.data)
