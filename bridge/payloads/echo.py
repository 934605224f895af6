"""Payload `echo`: sends data back as it came."""

from collections import deque
from typing import Any

from spanbridge.protocol.flow import is_utf8
from spanbridge.protocol.frames import Buffer, Span, join, payloads
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from .base import Port, Services
from .served.channel import Channel
from .served.options import Options


class Echo:
    """What one `echo` channel does. What the front end does not take yet waits, in order."""

    __slots__ = ("_channel", "_done", "_waiting")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[Buffer] = deque()
        self._done = False

    def data(self, data: Span, nbytes: int) -> None:
        payload = join(data)
        self._check(payload)
        self._waiting.append(payload)
        self._go_on()

    def _check(self, payload: Buffer) -> None:
        if not self._channel.raw and not is_utf8(payload):
            raise Problem(PROTOCOL_ERROR, 'echo: data that is not UTF-8 on a channel without binary: "raw"')

    def frames(self, data: Span) -> None:
        """Whole frames, headers and all, where nobody counts: they go back as they came. The headers are whole
        characters, so the frames are text if and only if the span is."""
        if self._channel.raw or is_utf8(join(data)):
            self._channel.forward(data)
            return
        for payload in payloads(data):
            self._check(payload)
            self._channel.send_unit(payload)

    def _go_on(self) -> None:
        while self._waiting and self._channel.may_send(self._go_on):
            payload = self._waiting.popleft()
            self._channel.send_unit(payload)
            self._channel.taken(len(payload))
        if self._done and not self._waiting:
            self._channel.done()
            self._channel.close()

    def done(self) -> None:
        self._done = True
        self._go_on()

    def command(self, command: str, message: dict[str, Any]) -> None:
        """It knows no other."""

    def end(self) -> None:
        self._waiting.clear()


def echo(port: Port, message: dict[str, Any], services: Services) -> Channel:
    channel = Channel(port, Options(message), services)
    channel.ready()
    payload = Echo(channel)
    return channel.serve(payload, frames=payload.frames)
