"""Payload `websocket-stream1`: one WebSocket to a real server (docs/http.md, "websocket-stream1").

connecting   until there is a connection; what the front end sends is held
asked        the handshake is out, its answer is not there; held as before
open         messages go both ways
said         the front end is done and the close frame is out: messages still come
over         the channel is closed; the socket may be kept for a moment, for the server to end it (`Farewell`)
"""

from asyncio import TimerHandle
from collections.abc import Iterator
from typing import Any, Final

from spanbridge.protocol.flow import is_utf8
from spanbridge.protocol.frames import Buffer, Span, join
from spanbridge.protocol.problems import DISCONNECTED, PROTOCOL_ERROR, TOO_LARGE, Problem

from ...stand_ins import import_websockets
from ..base import Internal, Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .accept import handshake_headers, new_key, read_protocols, refusal
from .client_frames import masked_frame
from .close_codes import CLEAN, PROBLEMS
from .connections import Connection, Connections
from .dial import Dial
from .farewell import Farewell
from .head import SWITCHING, Head, HeadReader, request_head
from .headers import passed_on, read_headers
from .heap import keep_heap
from .request import read_path
from .transport import READ_BYTES
from .where import Where, read_where
from .whole_messages import Piece, WholeMessages

import_websockets()

from websockets.exceptions import PayloadTooBig  # noqa: E402
from websockets.frames import BINARY, CLOSE, CONT, TEXT, Close, CloseCode, Frame  # noqa: E402
from websockets.protocol import CLIENT, Protocol  # noqa: E402

_FULL_BYTES: Final = 256 << 10  # asked for where the last read was full; else it is not worth its memory
_READS: Final = 4  # reads in one turn, before others have theirs
_PIECES: Final = 256  # of what was read, the same: each may be a frame, and of two bytes

_JOIN_BELOW: Final = 2_048  # bytes of a message: smaller ones are cheaper to copy than to list for the kernel

_PONG: Final = b"\x8a"  # how the frame of a pong begins


class Plan:
    """What an open of websocket-stream1 asks for."""

    __slots__ = ("head", "key", "protocols", "where")

    def __init__(self, options: Options) -> None:
        """Raises Problem (`protocol-error`)."""
        path = read_path(options)
        headers = read_headers(options, text=not options.raw, websocket=True)
        self.protocols = read_protocols(options)
        self.where: Where = read_where(options)
        self.key = new_key()
        self.head = request_head("GET", path, handshake_headers(headers, self.where, self.key, self.protocols))


class WebSocket:
    """Serves `channel`. `begin` connects and may raise Problem."""

    __slots__ = (
        "_channel",
        "_connection",
        "_connections",
        "_dial",
        "_done",
        "_heads",
        "_is_text",
        "_message",
        "_paused",
        "_pieces",
        "_plan",
        "_pong",
        "_protocol",
        "_services",
        "_size",
        "_taking",
        "_timer",
        "_whole",
    )

    def __init__(self, channel: Channel, plan: Plan, services: Services) -> None:
        self._channel = channel
        self._plan = plan
        self._services = services
        self._connections = services.once(Connections)
        self._dial = Dial(channel, services, self._connected)
        self._connection: Connection | None = None
        self._heads: HeadReader | None = None  # until the handshake is answered
        self._protocol: Protocol | None = None  # from then on
        self._whole: WholeMessages | None = None  # what need not go through it
        self._pieces: Iterator[Piece] | None = None  # of what was read: those that are left
        self._message = bytearray()  # of the server, as far as its fragments have come
        self._is_text = False  # whether it calls that text
        self._done = False  # whether the front end has said that it sends no more
        self._pong = b""  # that waits for room
        self._size = READ_BYTES  # bytes asked for in one read
        self._paused = False  # whether the front end takes nothing
        self._timer: TimerHandle | None = None  # for the answer to our close frame
        self._taking = False  # whether the server has taken some of what waits before that frame, since it began

    # Connecting

    def begin(self) -> None:
        """Connect, now or later. Raises Problem."""
        self._channel.hold()
        self._dial.begin(self._plan.where, None)

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        self._heads = HeadReader(self._plan.where.target, upgrades=True)
        connection.transport.watch(self._readable)
        connection.transport.write(self._plan.head)

    def _answered(self, head: Head, connection: Connection) -> None:
        plan = self._plan
        refused = refusal(head, plan.key, plan.protocols)
        if refused is not None:
            problem = Problem(refused.code, f"{plan.where.target}: {refused.message}")
            if head.status == SWITCHING:
                raise problem
            self._channel.close(problem, status=head.status, reason=head.reason)
            return
        self._heads = None
        most = self._services.context.limits.websocket_bytes
        self._services.once(keep_heap)
        self._protocol, self._whole = Protocol(CLIENT, max_size=most), WholeMessages(most)
        transport = connection.transport
        transport.on_taken = self._channel.taken
        transport.on_empty = self._send_pong
        transport.on_broken = self._broken
        headers = passed_on(head.headers, text=not self._channel.raw)
        self._channel.control("response", status=head.status, reason=head.reason, headers=headers)
        self._channel.ready()
        self._channel.release()

    # To the server (served.channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        message = join(data)
        if not self._channel.raw and not is_utf8(message):
            raise Problem(PROTOCOL_ERROR, "websocket-stream1: a text message that is not UTF-8")
        if self._connection is not None:
            head, masked = masked_frame(BINARY if self._channel.raw else TEXT, message)
            transport = self._connection.transport
            if nbytes < _JOIN_BELOW:
                transport.write(head + masked, nbytes)
            else:
                transport.queue(head)
                transport.write(masked, nbytes)
            if transport.broken:
                self._channel.take_all()

    def done(self) -> None:
        self._done = True
        if self._protocol is not None and self._connection is not None:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._connection.transport.on_taken = self._took
            self._send_frames()
            self._timer = self._services.context.loop.call_later(self._close_seconds, self._unanswered)

    def _took(self, nbytes: int) -> None:
        self._taking = True
        self._channel.taken(nbytes)

    def command(self, command: str, message: dict[str, Any]) -> None:
        """It takes no others."""

    def _send_frames(self) -> None:
        """What the protocol wants to say: pongs and close frames."""
        if self._protocol is None or self._connection is None:
            return
        frames = self._protocol.data_to_send()
        if not frames:
            return
        transport = self._connection.transport
        for frame in frames:
            if frame[:1] == _PONG and transport.waiting:
                self._pong = frame
            else:
                transport.queue(self._pong)  # nothing comes after a close frame
                transport.queue(frame)
                self._pong = b""
        transport.flush()

    def _send_pong(self) -> None:
        """There is room again."""
        pong, self._pong = self._pong, b""
        if self._connection is not None:
            self._connection.transport.write(pong)

    def _broken(self, error: OSError) -> None:
        """The server takes no more; it may have told why."""
        self._channel.take_all()

    # From the server

    def _readable(self) -> None:
        self._services.context.flusher.turn(self._channel.guard, self._read)

    def _go_on(self) -> None:
        """The front end takes data again, or others have had their turn."""
        if self._connection is not None:
            self._paused = False
            self._connection.transport.watch(self._readable)
            if self._pieces is not None or self._connection.transport.pending:
                self._readable()

    def _read(self) -> None:
        most = _PIECES
        for _ in range(_READS):
            if self._connection is None:
                return
            if not self._channel.may_send(self._go_on):
                self._paused = True
                self._connection.transport.watch(None)
                return
            more = self._pieces is not None or self._receive(self._connection)
            most = self._tell(most)
            if not more or self._pieces is not None:
                break
        if self._connection is not None and (self._pieces is not None or self._connection.transport.pending):
            self._connection.transport.watch(None)
            self._services.context.loop.call_soon(self._go_on)

    def _receive(self, connection: Connection) -> bool:
        """Read once; whether there may be more."""
        transport = connection.transport
        try:
            data = transport.read(self._size)
        except OSError as error:
            raise self._disconnected(error.strerror or str(error)) from None
        if data is None:
            return False
        if not data:
            raise self._disconnected("end of file")
        full = len(data) == self._size
        if self._heads is not None:
            found = self._heads.feed(data)
            if found is None:
                return False
            head, data = found
            self._answered(head, connection)
        self._size = _FULL_BYTES if full else READ_BYTES
        if self._whole is not None:
            self._pieces = self._whole.feed(data)
        return full or transport.pending

    def _tell(self, most: int) -> int:
        """Tell of what was read, up to so many pieces; how many more there may be in this turn."""
        protocol, pieces = self._protocol, self._pieces
        if protocol is None or pieces is None:
            return most
        for is_text, piece in pieces:
            if is_text is None:
                self._hear(piece, protocol)
            else:
                self._pass_on(piece, is_text, protocol)
            most -= 1
            if not most or self._connection is None:
                return most
        self._pieces = None
        if self._done and self._timer is None:
            self._drop()
        return most

    def _hear(self, data: bytes | bytearray, protocol: Protocol) -> None:
        """What is no whole message."""
        protocol.receive_data(data)
        self._send_frames()
        for event in protocol.events_received():
            if isinstance(event, Frame) and self._connection is not None:
                self._heed(event, protocol)
        if protocol.parser_exc is not None and self._connection is not None:
            self._failed(protocol.parser_exc)

    def _heed(self, frame: Frame, protocol: Protocol) -> None:
        if frame.opcode is CLOSE:
            self._closed(protocol.close_rcvd)
        elif frame.opcode in (TEXT, BINARY):
            self._is_text = frame.opcode is TEXT
            if frame.fin:
                self._pass_on(frame.data, self._is_text, protocol)
            else:
                self._message = bytearray(frame.data)  # not a list: there may be a fragment for each byte
        elif frame.opcode is CONT:
            self._message += frame.data
            if frame.fin:
                message, self._message = self._message, bytearray()
                self._pass_on(message, self._is_text, protocol)

    def _pass_on(self, message: Buffer, is_text: bool, protocol: Protocol) -> None:
        """A message is whole."""
        if not is_text:
            self._channel.send_unit(message)
        elif is_utf8(message):
            self._channel.send_text(message)
        else:
            protocol.fail(CloseCode.INVALID_DATA)
            self._send_frames()
            self._failed(ValueError("a text message that is not UTF-8"))

    def _closed(self, told: Close | None) -> None:
        """The server has sent its close frame, which is answered by now."""
        code = CloseCode.NO_STATUS_RCVD if told is None else told.code
        members: dict[str, Any] = {}
        if told is not None and code != CloseCode.NO_STATUS_RCVD:
            members = {"close-code": int(code), "close-reason": told.reason}
        self._leave()
        if code in CLEAN:
            self._channel.done()
            self._channel.close(**members)
            return
        words = f"the server closed the WebSocket: {int(code)} {told.reason if told else ''}".rstrip()
        self._channel.close(Problem(PROBLEMS.get(code, DISCONNECTED), f"{self._plan.where.target}: {words}"), **members)

    def _failed(self, error: Exception) -> None:
        """The server has said what it may not; the close frame that tells it so is out."""
        target = self._plan.where.target
        self._leave()
        if isinstance(error, PayloadTooBig):
            most = self._services.context.limits.websocket_bytes
            self._services.context.log.limit("websocket_bytes", most)
            message = f"{target}: a message of more than {most} bytes (websocket_bytes)"
            self._channel.close(Problem(TOO_LARGE, message))
        else:
            self._channel.close(Problem(PROTOCOL_ERROR, f"{target}: no WebSocket: {error}"))

    @property
    def _close_seconds(self) -> float:
        """How long the server may take to answer a close frame."""
        return self._services.context.limits.websocket_close_seconds

    def _unanswered(self) -> None:
        """There was no close frame in answer to ours."""
        if self._paused or self._taking:  # it may be there, unread; or the server has not come to ours yet
            self._taking = False
            self._timer = self._services.context.loop.call_later(self._close_seconds, self._unanswered)
            return
        self._timer = None
        if self._pieces is None:  # else it may be among them
            self._channel.guard(self._drop)

    def _drop(self) -> None:
        seconds = f"{self._close_seconds:g}"
        raise self._disconnected(f"the close frame was not answered within {seconds} s (websocket_close_seconds)")

    def _disconnected(self, words: str) -> Problem:
        if self._connection is not None:
            self._connections.release(self._connection, keep=False)
            self._connection = None
        return Problem(DISCONNECTED, f"{self._plan.where.target}: the connection ended: {words}")

    # The end

    def _leave(self) -> None:
        """Let the server have what is on its way, and end the connection, for a moment."""
        connection, self._connection = self._connection, None
        if connection is not None:
            Farewell(connection, self._connections, self._services.context.loop, self._close_seconds)

    def end(self) -> None:
        """The channel is over (served.channel.Payload)."""
        if self._timer is not None:
            self._timer.cancel()
        self._dial.cancel()
        connection, protocol = self._connection, self._protocol
        if connection is None:
            return
        if protocol is None or connection.transport.waiting:
            self._connections.release(connection, keep=False)
            self._connection = None
            return
        if not self._done:
            protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._send_frames()
        self._leave()


def websocket(port: Port, message: dict[str, Any], services: Services) -> Internal:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    served = WebSocket(channel, Plan(options), services)
    channel.serve(served)
    served.begin()
    return channel


def check(message: dict[str, Any]) -> None:
    """Raises the Problem with which an open is refused for its options."""
    Plan(Options(message))
