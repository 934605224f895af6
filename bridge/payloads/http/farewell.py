"""The last moments of a WebSocket: its channel is closed, its server has not ended the connection yet."""

import asyncio

from spanbridge.protocol.problems import Problem

from .connections import Connection, Connections


class Farewell:
    """Has what was written go out, and drops what comes, until the server ends it or `seconds` are over."""

    __slots__ = ("_connection", "_connections", "_timer")

    def __init__(
        self, connection: Connection, connections: Connections, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> None:
        self._connection = connection
        self._connections = connections
        connection.transport.forget()
        connection.transport.watch(self._readable)
        self._timer = loop.call_later(seconds, self._end)

    def _readable(self) -> None:
        try:
            over = self._connection.transport.read() == b""
        except (OSError, Problem):
            over = True
        if over:
            self._timer.cancel()
            self._end()

    def _end(self) -> None:
        self._connections.release(self._connection, keep=False)
