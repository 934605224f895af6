"""Requests to servers, over a bridge's front end."""

from itertools import count
from typing import Any

from spanbridge.testing.front_end import FrontEnd

from ..packages.client import Response, heard
from .server import Server

_numbers = count(1)


class Client:
    """Asks `server` over `front`, on channels of its own."""

    def __init__(self, front: FrontEnd, server: Server) -> None:
        self.front = front
        self.server = server

    def ask(self, path: str = "/", /, **members: Any) -> str:
        """Open a channel for one request, say nothing more on it. The channel.

        `members` of the open are put in place of the usual ones, `...` leaves one out; `_` in a name stands for `-`.
        """
        channel = f"h{next(_numbers)}"
        usual = {"payload": "http-stream2", "method": "GET", "path": path, **self.server.where}
        message = {**usual, **{name.replace("_", "-"): value for name, value in members.items()}}
        told = {name: value for name, value in message.items() if value is not ...}
        self.front.message({"command": "open", "channel": channel, **told})
        return channel

    def send(self, path: str = "/", /, body: bytes = b"", **members: Any) -> str:
        """The same, whole: with a body, and `done`."""
        channel = self.ask(path, **members)
        if body:
            self.front.send(channel, body)
        self.front.control("done", channel=channel)
        return channel

    def receive(self, channel: str) -> Response:
        """Wait for the end of a channel; all that came on it."""
        return Response(*heard(self.front, channel))

    def answered(self, *pieces: bytes, close: bool = False, **members: Any) -> Response:
        """A request, and what becomes of an answer of these pieces. `close`: the server then ends the connection."""
        channel = self.send(**members)
        with self.server.accept() as peer:
            peer.head()
            peer.send(*pieces)
            if close:
                peer.close()
            return self.receive(channel)
