"""Bytes to and from a connected socket, with TLS or without, from callbacks of the poller."""

import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from spanbridge.protocol.frames import Buffer

from ...wire.poller import Poller
from ...wire.source import Source

if TYPE_CHECKING:
    from ..connect.handshake import TlsSocket

READ_BYTES: Final = 64 << 10
_PIECE_BYTES: Final = 256 << 10  # given to TLS at a time
_PIECES: Final = 64  # given to a socket at a time
_SENDS: Final = 16  # in one turn, before others have theirs


def _nothing(*_: object) -> None:
    pass


class Transport:
    """Owns the socket: `close` closes it.

    What the socket does not take waits, without a bound: `on_taken(n)` tells of each n payload bytes that it took,
    `on_empty()` that it took all that had to wait, and `on_broken(error)`, once, that it takes no more. The first and
    the last may be called within `write`.
    """

    __slots__ = (
        "_outbox",
        "_poller",
        "_sock",
        "_source",
        "_tls",
        "_watching",
        "broken",
        "fd",
        "on_broken",
        "on_empty",
        "on_taken",
        "waiting",
    )

    def __init__(self, sock: "socket.socket | TlsSocket", poller: Poller) -> None:
        self._sock = sock
        self._poller = poller
        self._tls = None if isinstance(sock, socket.socket) else sock
        self._outbox: deque[tuple[Buffer, int]] = deque()  # each with how many bytes at its end are payload
        self._watching = False
        self.broken = False  # whether the socket takes no more
        self._source: Source | None = None
        self.waiting = False  # whether some of what was written waits for room
        self.fd = sock.fileno()
        self.forget()

    def forget(self) -> None:
        """Whoever used it does so no more."""
        self.on_taken: Callable[[int], None] = _nothing
        self.on_empty: Callable[[], None] = _nothing
        self.on_broken: Callable[[OSError], None] = _nothing

    # Reading

    def watch(self, reader: Callable[[], None] | None) -> None:
        """Call `reader` whenever there is something to be read, or the end; None: no more."""
        if self.fd >= 0 and (reader is not None or self._watching):
            self._watching = reader is not None
            self._poller.watch_read(self.fd, reader)

    def read(self, nbytes: int = READ_BYTES) -> bytes | None:
        """What is there, at most `nbytes`; nothing: the end; None: there is nothing yet.

        Raises OSError, and Problem (TlsSocket.recv).
        """
        try:
            return self._sock.recv(nbytes)
        except BlockingIOError:
            return None

    @property
    def pending(self) -> bool:
        """Whether there is something to be read of which the poller knows nothing."""
        return self._tls is not None and self._tls.pending

    @property
    def source(self) -> Source | None:
        """For the kernel to move bytes from; None: they are wrapped in TLS."""
        if self._source is None and self._tls is None and self.fd >= 0:
            self._source = Source(self.fd)
        return self._source

    # Writing

    def write(self, data: Buffer, payload: int = 0) -> None:
        """Send `data`, of which so many bytes at the end are payload, now or when there is room."""
        self.queue(data, payload)
        self.flush()

    def queue(self, data: Buffer, payload: int = 0) -> None:
        """The same with the next `flush`. Dropped once the socket takes no more."""
        if not self.broken and len(data):
            self._outbox.append((_kept(data) if self.waiting else data, payload))

    def flush(self) -> None:
        if not self.waiting:
            self._write()

    def _write(self) -> None:
        outbox = self._outbox
        try:
            for _ in range(_SENDS):
                if not outbox:
                    break
                done, asked = self._send()
                self._wrote(done)
                if done < asked:  # it is full: to be told so by an error takes one more call
                    self._wait()
                    return
        except BlockingIOError:
            self._wait()
            return
        except OSError as error:
            self.broken = True
            outbox.clear()
            self._stop_waiting()
            self.on_broken(error)
            return
        if outbox:
            self._wait()
        elif self.waiting:
            self._stop_waiting()
            self.on_empty()

    def _send(self) -> tuple[int, int]:
        """How many bytes the socket took, and of how many."""
        outbox = self._outbox
        if self._tls is not None:
            piece = memoryview(outbox[0][0])[:_PIECE_BYTES]
            return self._tls.send(piece), 0
        if len(outbox) > 1:
            pieces = [data for data, _ in islice(outbox, _PIECES)]
            return self._sock.sendmsg(pieces), sum(map(len, pieces))  # type: ignore[union-attr]
        data, _ = outbox[0]
        return self._sock.send(data), len(data)

    def _wait(self) -> None:
        if not self.waiting and not self.broken:  # whoever was told what was taken may have closed it
            self.waiting = True
            self._outbox = deque((_kept(data), payload) for data, payload in self._outbox)
            self._poller.watch_write(self.fd, self._write)

    def _wrote(self, count: int) -> None:
        """The socket took the first `count` bytes."""
        outbox, payload = self._outbox, 0
        while count:
            data, of_these = outbox[0]
            size = len(data)
            if count < size:
                left = min(of_these, size - count)
                outbox[0] = (memoryview(data)[count:], left)
                payload += of_these - left
                break
            outbox.popleft()
            payload += of_these
            count -= size
        if payload:
            self.on_taken(payload)

    def _stop_waiting(self) -> None:
        if self.waiting:
            self.waiting = False
            self._poller.watch_write(self.fd, None)

    def close(self) -> None:
        """Harmless a second time."""
        if self.fd < 0:
            return
        self.watch(None)
        self._stop_waiting()
        self._outbox.clear()
        self.broken = True
        self.forget()
        self.fd = -1
        if self._source is not None:
            self._source.fd = -1
        self._sock.close()


def _kept(data: Buffer) -> Buffer:
    """`data` as it may wait: a view of little would keep the whole of what was read with it."""
    if not isinstance(data, memoryview) or (isinstance(data.obj, bytes) and 2 * len(data) >= len(data.obj)):
        return data
    return bytes(data)
