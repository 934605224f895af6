"""The flow of one channel: what its two ends have agreed on (docs/protocol.md, "Channels that the bridge serves").

`Window`  what is sent with `flow-control`: a ping every so many bytes, a pong for each
`Ledger`  what is taken: acks (`send-acks`) and pongs, each once all that came before it has been passed on
`Text`    what a text channel says: valid UTF-8, no character across two messages
"""

import codecs
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .frames import Buffer

BLOCK_BYTES: Final = 16 << 10
"""A ping goes out whenever so many bytes more were sent; its `sequence` is the number of bytes so far."""


class Window:
    """Counts what was sent on one channel, and what of it the other end has said it has. `size` is bytes."""

    __slots__ = ("_acknowledged", "_block", "_sent", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._block = min(BLOCK_BYTES, size)  # a window that is full has a ping under way
        self._sent = 0
        self._acknowledged = 0

    @property
    def room(self) -> int:
        """Bytes that may be sent now."""
        return self._acknowledged + self._size - self._sent

    def takes(self, nbytes: int) -> bool:
        """Whether so many may be sent now; any, where no ping is under way whose pong could make more room."""
        room = self.room
        return room >= nbytes or (room > 0 and self._size - room < self._block)

    def sent(self, nbytes: int) -> int | None:
        """So many bytes more; the `sequence` of the ping that is due, if one is."""
        before = self._sent // self._block
        self._sent += nbytes
        return self._sent if self._sent // self._block > before else None

    def pong(self, sequence: Any) -> bool:
        """Whether it moved anything. What is no integer, goes back, or speaks of bytes never sent, does not."""
        if type(sequence) is not int or not self._acknowledged < sequence <= self._sent:
            return False
        self._acknowledged = sequence
        return True


class Ledger:
    """What came on one channel and was not passed on yet, and what is to be said once it was.

    `waiting` is bytes of data.
    """

    __slots__ = ("_came", "_notes", "_taken")

    def __init__(self) -> None:
        self._came = 0  # bytes, since the channel was opened
        self._taken = 0
        self._notes: deque[tuple[int, Callable[[], None]]] = deque()  # at so many bytes taken: what is due

    @property
    def waiting(self) -> int:
        return self._came - self._taken

    @property
    def notes(self) -> int:
        """How much is to be said later."""
        return len(self._notes)

    def came(self, nbytes: int) -> None:
        """So many bytes of data."""
        self._came += nbytes

    def then(self, say: Callable[[], None]) -> None:
        """Call `say` once all that has come is taken: now, where that is so."""
        if self._taken == self._came and not self._notes:
            say()
        else:
            self._notes.append((self._came, say))

    def taken(self, nbytes: int) -> None:
        """So many bytes were passed on, in order."""
        self._taken += nbytes
        notes = self._notes
        while notes and notes[0][0] <= self._taken:
            notes.popleft()[1]()

    def take_all(self) -> None:
        """All that has come is taken."""
        self.taken(self.waiting)


class Text:
    """Makes bytes valid UTF-8: U+FFFD for each maximal wrong part; the beginning of a character waits for its end."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: Buffer) -> bytes:
        """What can be said now."""
        return self._decoder.decode(data).encode()

    def end(self) -> bytes:
        """A beginning without an end, as U+FFFD."""
        return self._decoder.decode(b"", final=True).encode()


def is_utf8(data: Buffer) -> bool:
    """Whether it is valid as text."""
    if not isinstance(data, memoryview) and data.isascii():
        return True
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def whole_text(data: Buffer) -> bytes:
    """`data` by itself as valid UTF-8."""
    return str(data, "utf-8", "replace").encode()
