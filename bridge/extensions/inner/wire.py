"""Messages between an extension's process and the host: a length of four bytes, little-endian, then msgpack.

Two sockets for each process. On one go requests and answers (`messages.py`); on the other the extension calls the
host, and waits for the reply (`calls.py`): a thread of the host serves that without the event loop.
"""

import socket
from collections.abc import Iterator
from typing import Final

HEAD: Final = 4


class WireError(Exception):
    """What came is no message; the text says why."""


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(HEAD, "little") + body


class Frames:
    """Cuts what comes into messages, of at most `most` bytes."""

    __slots__ = ("_data", "_most")

    def __init__(self, most: int) -> None:
        self._data = bytearray()
        self._most = most

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The messages that are whole now. Raises WireError."""
        data = self._data
        data += chunk
        start = 0
        while len(data) - start >= HEAD:
            size = int.from_bytes(data[start : start + HEAD], "little")
            if size > self._most:
                raise WireError(f"a message of {size} bytes, the limit (extension_message_bytes) is {self._most}")
            end = start + HEAD + size
            if len(data) < end:
                break
            yield bytes(data[start + HEAD : end])
            start = end
        del data[:start]


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
