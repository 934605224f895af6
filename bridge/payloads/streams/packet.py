"""Payload `packet`: a socket of records (SOCK_SEQPACKET) as a channel. One record is one data message, both ways."""

import errno
import socket
from collections import deque
from typing import Any, Final

from anyio import CancelScope

from spanbridge.protocol.frames import Span, join
from spanbridge.protocol.problems import DISCONNECTED, PROTOCOL_ERROR, TOO_LARGE, Problem

from ..base import Port, Services
from ..connect.target import Target
from ..served.channel import Channel
from ..served.options import Options
from .connecting import have_connected

_LARGEST: Final = 131_072
_USUAL: Final = 65_536
_RECORDS: Final = 16  # in one turn, before the others have theirs


class Packets:
    """What one `packet` channel does."""

    __slots__ = ("_broken", "_channel", "_done", "_name", "_queue", "_reading", "_scope", "_services", "_size", "_sock")

    def __init__(self, channel: Channel, services: Services, target: Target, size: int) -> None:
        """`size`: bytes of the longest record; what is longer is cut. Raises Problem."""
        self._channel = channel
        self._services = services
        self._name = str(target)
        self._size = size
        self._queue: deque[bytes] = deque()
        self._done = False  # the front end has said so
        self._broken: str | None = None  # why the connection ends; what had come before is still to be read
        self._reading = False
        self._sock: socket.socket | None = None
        self._scope: CancelScope | None = None
        self._scope = have_connected(channel, services, target, self._serve)

    def _serve(self, connected: socket.socket) -> None:
        self._sock = connected
        self._channel.ready()
        self._watch()

    # Records of the peer

    def _watch(self) -> None:
        if self._sock is not None and not self._reading:
            self._reading = True
            self._services.context.poller.watch_read(self._sock.fileno(), self._readable)

    def _unwatch(self) -> None:
        if self._sock is not None and self._reading:
            self._reading = False
            self._services.context.poller.watch_read(self._sock.fileno(), None)

    def _readable(self) -> None:
        self._services.context.flusher.turn(self._channel.guard, self._read_some)

    def _read_some(self) -> None:
        for _ in range(_RECORDS):
            if self._sock is None:
                return
            if not self._channel.may_send(self._watch):
                self._unwatch()
                return
            try:
                record = self._sock.recv(self._size)
            except BlockingIOError:
                return
            except OSError as error:
                # The kernel tells of a reset before it hands out the records that came earlier, and once.
                self._break(error)
                continue
            if not record:
                self._ended()
                return
            self._channel.send_unit(record)

    def _ended(self) -> None:
        if self._broken is not None:
            raise Problem(DISCONNECTED, f"{self._name}: {self._broken}")
        self._channel.done()
        self._channel.close()

    def _break(self, error: OSError) -> None:
        """The peer takes no more. Reading goes on to the end, and tells of it. Raises Problem for a second error."""
        if self._broken is not None:
            raise Problem(DISCONNECTED, f"{self._name}: {error.strerror}") from None
        self._broken = error.strerror
        self._queue.clear()
        if self._sock is not None:
            self._services.context.poller.watch_write(self._sock.fileno(), None)
        self._channel.take_all()

    # Records of the front end (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        if self._done:
            raise Problem(PROTOCOL_ERROR, "packet: data after done")
        if self._broken is not None:
            self._channel.taken(nbytes)
            return
        self._queue.append(bytes(join(data)))
        if len(self._queue) == 1:
            self._write_some()

    def _writable(self) -> None:
        self._channel.guard(self._write_some)

    def _write_some(self) -> None:
        if self._sock is None:
            return
        poller, fd = self._services.context.poller, self._sock.fileno()
        while self._queue:
            try:
                self._sock.send(self._queue[0])
            except BlockingIOError:
                poller.watch_write(fd, self._writable)
                return
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise Problem(TOO_LARGE, f"{self._name}: {error.strerror}") from None
                self._break(error)
                return
            self._channel.taken(len(self._queue.popleft()))
        poller.watch_write(fd, None)
        if self._done:
            self._shut()

    def done(self) -> None:
        self._done = True
        if not self._queue:
            self._shut()

    def _shut(self) -> None:
        if self._sock is not None and self._broken is None:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._break(error)

    def command(self, command: str, message: dict[str, Any]) -> None:
        if command == "options":
            try:
                self._size = read_size(Options(message, "options of packet"), self._size)
            except Problem as problem:
                self._services.context.log.warning("option-ignored", why=problem.message)

    def end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        self._queue.clear()
        if self._sock is not None:
            sock, self._sock = self._sock, None
            poller = self._services.context.poller
            poller.watch_write(sock.fileno(), None)
            poller.watch_read(sock.fileno(), None)
            sock.close()


def read_size(options: Options, default: int = _USUAL) -> int:
    """`max-size`. Raises Problem (`protocol-error`)."""
    return options.integer("max-size", default, least=1, most=_LARGEST)


def packet(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open of payload `packet`. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    path = options.system("unix")
    if not path.startswith("/"):
        raise options.wrong("unix", "an absolute path")
    size = read_size(options)
    return channel.serve(Packets(channel, services, Target(unix=path, kind=socket.SOCK_SEQPACKET), size))
