"""Frames: what a stream consists of (docs/protocol.md, "Frames"). splitter.py cuts a stream into them.

A frame is `length LF channel LF payload`; the length counts the bytes of all that comes after its own LF.
"""

from collections.abc import Iterator
from typing import Final

Buffer = bytes | bytearray | memoryview
Span = Buffer | list[Buffer]  # whole frames of one place; a list: one frame, in the pieces that it was read in

LENGTH_DIGITS: Final = 8
LARGEST_FRAME: Final = 99_999_999
LONGEST_ID: Final = 8_192
LONGEST_CONTROL: Final = 4 << 20

_HEAD = 64  # bytes in which most headers end
_SMALL = 4_096  # pieces below this are copied: a view would keep a whole chunk alive for a few bytes


def encode(channel: bytes, payload: Buffer) -> bytes:
    """One frame of `payload` on `channel`, an empty `channel` for a control message."""
    return b"%d\n%b\n" % (len(channel) + 1 + len(payload), channel) + payload


def control_payload(frame: bytes) -> bytes:
    """The payload of one whole control frame."""
    return frame[frame.index(b"\n") + 2 :]


def join(span: Span) -> Buffer:
    """A span as one piece."""
    return b"".join(span) if isinstance(span, list) else span


def payloads(span: Span) -> Iterator[bytes]:
    """The payload of each frame of a span, in order."""
    data = bytes(join(span))
    pos, end = 0, len(data)
    while pos < end:
        line = data.index(b"\n", pos)
        stop = line + 1 + int(data[pos:line])
        yield data[data.index(b"\n", line + 1) + 1 : stop]
        pos = stop


def only_body(span: bytes) -> bytes | None:
    """The payload of a span that is one small frame, as most are; None for any other (`bodies`)."""
    size = len(span)
    line = span.find(b"\n", 0, LENGTH_DIGITS + 1)
    if line < 0 or size >= _SMALL or line + 1 + int(span[:line]) != size:
        return None
    return span[span.index(b"\n", line + 1) + 1 :]


def bodies(span: Span) -> Iterator[Span]:
    """The payload of each frame of a span, in order, not copied where it is large; a list is one payload in pieces."""
    if isinstance(span, list):
        first = bytes(span[0][: LENGTH_DIGITS + 1 + LONGEST_ID + 1])
        begin = first.index(b"\n", first.index(b"\n") + 1) + 1
        yield [memoryview(span[0])[begin:], *span[1:]]
        return
    if len(span) < _SMALL:
        yield from payloads(span)
        return
    view, pos, end = memoryview(span), 0, len(span)
    while pos < end:
        head = bytes(view[pos : pos + _HEAD])
        line = head.index(b"\n")
        if b"\n" not in head[line + 1 :]:  # a long id
            head = bytes(view[pos : pos + LENGTH_DIGITS + 1 + LONGEST_ID + 1])
        begin = pos + head.index(b"\n", line + 1) + 1
        stop = pos + line + 1 + int(head[:line])
        yield view[begin:stop] if stop - begin >= _SMALL else bytes(view[begin:stop])
        pos = stop


def header(channel: bytes, size: int) -> bytes:
    """What comes before a payload of `size` bytes on `channel`."""
    return b"%d\n%b\n" % (len(channel) + 1 + size, channel)
