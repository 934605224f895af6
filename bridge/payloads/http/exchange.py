"""One request and its answer: a channel on one side, a connection on the other (docs/http.md).

    connecting   until there is a connection; what comes of the body is held
    holding      connected; until the body is whole, or too long to be sent as one
    sending      the head has gone out, the body goes as it comes
    over         the answer is whole, or will never be

The answer is read from the moment the head is out: a server may answer before it has the body.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from spanbridge.protocol.frames import Buffer, Span
from spanbridge.protocol.problems import DISCONNECTED, Problem

from ..base import Services
from ..served.channel import Channel
from .connections import Connection, Connections
from .dial import Dial
from .framing import Framing, framing_of
from .head import Head, HeadReader, request_head
from .headers import Headers, passed_on
from .request import LENGTH_WITHOUT_BODY, REPEATABLE, Request
from .transport import READ_BYTES, Transport

HELD_BYTES: Final = 64 << 10
"""A body of more is sent in chunks, as it comes."""

_READS: Final = 4  # reads in one turn, before others have theirs
_PIECES: Final = 256  # a read of more pieces of a body is the last of its turn
_MOVE_BYTES: Final = 16 << 10  # from here on it is worth having the kernel move them


class Exchange:
    """Serves `channel` with one request. `begin` connects and may raise Problem."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_channel",
        "_connection",
        "_connections",
        "_dial",
        "_done",
        "_flusher",
        "_framing",
        "_head",
        "_head_as_data",
        "_heads",
        "_loop",
        "_ready",
        "_repeatable",
        "_repeated",
        "_request",
        "_sent",
    )

    def __init__(self, channel: Channel, request: Request, services: Services, *, head_as_data: bool) -> None:
        self._channel = channel
        self._request = request
        self._loop = services.context.loop
        self._flusher = services.context.flusher
        self._head_as_data = head_as_data
        self._connections = services.once(Connections)
        self._dial = Dial(channel, services, self._connected)
        self._connection: Connection | None = None
        self._heads: HeadReader | None = None
        self._head: Head | None = None  # of the answer
        self._framing: Framing | None = None  # of its body
        self._body: list[bytes] = []  # of the request: what is held
        self._body_bytes = 0
        self._ready = False  # whether the front end was told so
        self._done = False  # whether the body is whole
        self._sent = False  # whether the head of the request is out
        self._repeatable = False  # whether the request may be sent once more
        self._repeated = False  # whether it was

    # Connecting

    def begin(self) -> None:
        """Connect, now or later. Raises Problem."""
        self._dial.begin(self._request.where, self._request.name)

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        if not self._ready:
            self._ready = True
            self._channel.ready()
        if self._sent:  # once more
            self._sent, self._repeated = False, True
        self._send_if_due()

    # The request (served.channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        pieces = data if isinstance(data, list) else [data]
        if self._sent:
            self._send_chunk(pieces, nbytes)
            return
        self._body.append(b"".join(pieces))
        self._body_bytes += nbytes
        self._send_if_due()

    def done(self) -> None:
        self._done = True
        if self._sent and self._connection is not None:
            self._connection.transport.write(b"0\r\n\r\n")
        else:
            self._send_if_due()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """It takes no others."""

    def _send_if_due(self) -> None:
        connection = self._connection
        if connection is None or not (self._done or self._body_bytes > HELD_BYTES):
            return
        if connection.served and not connection.quiet:  # it was, when it was taken for this request
            self._connect_anew(connection)
        else:
            self._send(connection)

    def _connect_anew(self, connection: Connection) -> None:
        """The server has ended a kept connection."""
        self._connections.release(connection, keep=False)
        self._connection = None
        # Whatever made the server end this one may be about to end the others that are kept.
        self._dial.begin_later(self._request.where, self._request.name, fresh=True)

    def _send(self, connection: Connection) -> None:
        """Send the head, and what is there of the body."""
        request, body, whole = self._request, self._body, self._done
        added: Headers = []
        if not whole:
            added = [("Transfer-Encoding", "chunked")]
        elif body or request.method in LENGTH_WITHOUT_BODY:
            added = [("Content-Length", str(self._body_bytes))]
        head = request_head(request.method, request.path, request.headers, added)
        self._heads = HeadReader(request.where.target)
        self._sent = True
        transport = connection.transport
        if not self._repeated:  # then all of it was told to be taken
            transport.on_taken = self._channel.taken
        transport.on_broken = self._broken
        transport.watch(self._readable)
        self._repeatable = whole and connection.served and request.method in REPEATABLE and not self._repeated
        if not self._repeatable:
            self._body = []
        transport.queue(head)
        if whole:
            transport.write(b"".join(body), self._body_bytes)
        else:
            self._send_chunk(body, self._body_bytes)

    def _send_chunk(self, pieces: Sequence[Buffer], nbytes: int) -> None:
        if nbytes and self._connection is not None:
            transport = self._connection.transport
            transport.queue(b"%x\r\n" % nbytes)
            for piece in pieces:
                transport.queue(piece, len(piece))
            transport.write(b"\r\n")
            if transport.broken:
                self._channel.take_all()

    def _broken(self, error: OSError) -> None:
        """The server takes no more of the body: it may answer all the same, for as long as it likes."""
        self._channel.take_all()

    # The answer

    def _readable(self) -> None:
        self._flusher.turn(self._channel.guard, self._read)

    def _go_on(self) -> None:
        """The front end takes data again, or others have had their turn."""
        if self._connection is not None:
            self._connection.transport.watch(self._readable)
            if self._connection.transport.pending:
                self._readable()

    def _read(self) -> None:
        for _ in range(_READS):
            if self._connection is None:
                return
            transport = self._connection.transport
            if not self._channel.may_send(self._go_on):
                transport.watch(None)
                return
            if self._framing is not None and self._move(transport, self._framing):
                continue
            room = self._channel.room if self._framing is not None else READ_BYTES
            try:
                data = transport.read(room)
            except OSError as error:
                self._ended(error)
                return
            if data is None:
                return
            if not data:
                self._ended(None)
                return
            if not self._take(data) or (len(data) < room and not transport.pending):
                break  # that was all, or much
        if self._connection is not None and self._connection.transport.pending:
            self._connection.transport.watch(None)
            self._loop.call_soon(self._go_on)

    def _move(self, transport: Transport, framing: Framing) -> bool:
        """Have the kernel move what is there of the body, if it is worth it."""
        source = transport.source
        if source is None or not self._channel.raw or framing.left < _MOVE_BYTES:
            return False
        count = min(source.readable, framing.left, self._channel.room)
        if count < _MOVE_BYTES:
            return False
        lost = self._channel.move(source, count)
        if lost:
            raise self._disconnected("its data is not there any more")
        framing.moved(count)
        if framing.over:
            self._finish(b"")
        return True

    def _take(self, data: bytes) -> bool:
        """Whether it was little work."""
        self._repeatable = False
        self._body = []
        if self._framing is None:
            found = self._heads.feed(data) if self._heads is not None else None
            if found is None:
                return False  # there may have been thousands of interim answers
            head, data = found
            self._heads = None
            self._answer(head)
        return self._pass_on(data)

    def _answer(self, head: Head) -> None:
        self._head = head
        self._framing = framing_of(head, self._request.method, self._request.where.target)
        headers = passed_on(head.headers, text=self._request.text)
        told = {"status": head.status, "reason": head.reason, "headers": headers}
        if self._head_as_data:
            self._channel.send_unit(msgspec.json.encode(told))
        else:
            self._channel.control("response", **told)

    def _pass_on(self, data: bytes) -> bool:
        framing = self._framing
        if framing is None:
            return True
        pieces, rest = framing.feed(data)
        if pieces:
            self._channel.send(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if framing.over:
            self._finish(rest)
        return len(pieces) <= _PIECES

    def _finish(self, rest: bytes) -> None:
        """The answer is whole."""
        connection, head = self._connection, self._head
        self._connection = None
        if connection is not None:
            ended = self._framing is not None and self._framing.ends_with_connection
            unsent = connection.transport.waiting or connection.transport.broken
            clean = self._done and not rest and not ended and not unsent
            keep = clean and head is not None and head.keeps
            self._connections.release(connection, keep=keep)
        self._channel.done()
        self._channel.close()

    def _ended(self, error: OSError | None) -> None:
        """The server has ended the connection."""
        framing = self._framing
        if framing is not None and framing.ends_with_connection and error is None:
            self._finish(b"")
        elif self._repeatable and self._connection is not None:
            self._repeatable = False
            self._channel.take_all()  # what the socket had not taken yet is held here
            self._connect_anew(self._connection)
        else:
            raise self._disconnected("end of file" if error is None else error.strerror or str(error))

    def _disconnected(self, words: str) -> Problem:
        message = f"{self._request.where.target}: the connection ended before the answer was whole: {words}"
        return Problem(DISCONNECTED, message)

    def end(self) -> None:
        """The channel is over (served.channel.Payload)."""
        self._dial.cancel()
        if self._connection is not None:
            self._connections.release(self._connection, keep=False)
            self._connection = None
        self._body = []
