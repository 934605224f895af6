"""Messages between an extension's process and the host: a length of four bytes, little-endian, then msgpack.

Two sockets for each process. On one go requests and answers (`messages.py`); on the other the extension calls the
host, and waits for the reply (`calls.py`): a thread of the host serves that without the event loop.
"""

import mmap
import select
import socket
from collections.abc import Callable, Iterator
from typing import Final

HEAD: Final = 4
_READ_BYTES: Final = 256 << 10


class WireError(Exception):
    """What came is no message; the text says why."""


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(HEAD, "little") + body


class Frames:
    """Reads a socket, and cuts what comes into messages, of at most `most` bytes."""

    __slots__ = ("_begun", "_came", "_most", "_room")

    def __init__(self, most: int) -> None:
        # One room for all reads: a new one for each would be fetched from the kernel, and given back. Only as much of
        # it as is ever filled takes memory.
        self._room = memoryview(mmap.mmap(-1, _READ_BYTES))
        self._came = 0
        self._begun = bytearray()  # of a message that is not whole
        self._most = most

    def read(self, sock: socket.socket, flags: int = socket.MSG_DONTWAIT) -> int | None:
        """How many bytes have come; 0 at the end, however it came about; None where nothing has.

        `messages` must follow.
        """
        try:
            self._came = sock.recv_into(self._room, 0, flags)
        except BlockingIOError:
            return None
        except OSError:
            self._came = 0
        return self._came

    def messages(self) -> Iterator[memoryview]:
        """Those that are whole now; each is good until the next is asked for. Raises WireError."""
        data = self._room[: self._came]
        if self._begun:
            self._begun += data
            data = memoryview(self._begun)
        start, end = 0, len(data)
        while end - start >= HEAD:
            size = int.from_bytes(data[start : start + HEAD], "little")
            if size > self._most:
                raise WireError(f"a message of {size} bytes, the limit (extension_message_bytes) is {self._most}")
            if end - start < HEAD + size:
                break
            yield data[start + HEAD : start + HEAD + size]
            start += HEAD + size
        if self._begun and not start:
            data.release()  # so that it can grow
        else:
            self._begun = bytearray(data[start:])


def arrivals(sock: socket.socket) -> Callable[[], object]:
    """Waits until there is something to read, or the end; for one thread at a time.

    Who waits in recv() instead is woken a second time, for nothing, once the other end reads what was sent before: the
    kernel has one queue for both. That is the other end's time, too.
    """
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll


def come(sock: socket.socket, most: int) -> bytes | None:
    """What has come, at most so many bytes; empty at the end, however it came about; None where nothing has."""
    try:
        return sock.recv(most, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def receive(sock: socket.socket, nbytes: int) -> bytes:
    """Just so many bytes of a blocking socket; fewer only at its end."""
    pieces = []
    while nbytes:
        piece = sock.recv(min(nbytes, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        nbytes -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
