"""Calls of the host: sent, and waited for, by whichever thread makes them."""

import contextvars
import socket
import threading
from typing import Any, Final

import msgspec

from ..errors import SqliteError
from ..inner.messages import Call, Reply, decode_reply, encode
from ..inner.wire import HEAD, arrivals, framed, receive

_READ_BYTES: Final = 64 << 10

current_call: Final[contextvars.ContextVar[int]] = contextvars.ContextVar("current_call", default=0)
"""The request whose handler runs here; 0: none."""


class HostGone(Exception):
    """The host has ended."""


class Calls:
    """One socket for all threads: whoever waits reads, and hands the others what is theirs."""

    def __init__(self, sock: socket.socket, most: int) -> None:
        self._sock = sock
        self._most = most
        self._wait = arrivals(sock)
        self._main = threading.get_ident()
        self._sending = threading.Lock()
        self._lock = threading.Lock()  # of all that follows; to enter the condition by itself takes longer
        self._news = threading.Condition(self._lock)
        self._reading = False
        self._waiting = 0  # threads that wait for another to read
        self._replies: dict[int, Reply] = {}
        self._unread = b""
        self._seq = 0
        self._lanes: dict[int, int] = {self._main: 0}

    def __call__(self, operation: str, *arguments: Any) -> Any:
        """What the host gives. Raises SqliteError, ValueError, RuntimeError; HostGone."""
        thread = threading.get_ident()
        with self._sending:
            self._seq += 1
            seq = self._seq
            lane = self._lanes.setdefault(thread, len(self._lanes))
            try:
                message = encode(Call(seq, current_call.get(), lane, operation, list(arguments)))
            except (TypeError, OverflowError, ValueError, RecursionError) as error:
                raise TypeError(f"{operation}: {error}") from None
            if len(message) > self._most:
                raise ValueError(
                    f"{operation}: {len(message)} bytes, the limit (extension_message_bytes) is {self._most}"
                )
            try:
                self._sock.sendall(framed(message))
            except OSError:
                raise HostGone from None
        reply = self._reply(seq)
        if reply.error is None:
            return reply.value
        raise _error(*reply.error)

    def _reply(self, seq: int) -> Reply:
        while True:
            with self._lock:
                while self._reading and seq not in self._replies:
                    self._waiting += 1
                    self._news.wait()
                    self._waiting -= 1
                if seq in self._replies:
                    return self._replies.pop(seq)
                self._reading = True
            try:
                reply = self._read()
            except BaseException:
                with self._lock:
                    self._reading = False
                    self._news.notify_all()
                raise
            with self._lock:
                self._reading = False
                if reply.seq != seq:
                    self._replies[reply.seq] = reply
                if self._waiting:
                    self._news.notify_all()
            if reply.seq == seq:
                return reply

    def _read(self) -> Reply:
        """The next reply. Most come whole with one read, and some with what is another thread's."""
        data = self._unread
        try:
            if not data:
                self._wait()
                data = self._sock.recv(_READ_BYTES)
            while True:
                size = len(data)
                end = HEAD + int.from_bytes(data[:HEAD], "little") if size >= HEAD else HEAD
                if size >= end > HEAD:
                    self._unread = data[end:]
                    return decode_reply(data[HEAD:end])
                missing = end - size
                more = receive(self._sock, missing) if missing > _READ_BYTES else self._sock.recv(_READ_BYTES)
                if not more:
                    break
                data += more
        except (OSError, msgspec.DecodeError):
            raise HostGone from None
        raise HostGone


def _error(kind: str, code: str, message: str) -> Exception:
    if kind == "sqlite":
        return SqliteError(message, code)
    return ValueError(message) if kind == "value" else RuntimeError(message)
