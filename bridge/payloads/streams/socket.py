"""A connected stream socket as a channel."""

import os
import socket
from typing import Any

from anyio import CancelScope

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import DISCONNECTED, INTERNAL_ERROR, Problem

from ...wire.deadline import Deadline
from ...wire.writer import Writer
from ..base import Services
from ..connect.target import Target
from ..served.channel import Channel
from ..served.options import Options
from .connecting import have_connected
from .input import input_to
from .output import Output


class Connected:
    """What one channel with a socket does. What the front end says before it is connected is kept."""

    __slots__ = (
        "_batch",
        "_channel",
        "_input",
        "_latency",
        "_lost",
        "_name",
        "_output",
        "_over",
        "_scope",
        "_services",
    )

    def __init__(self, channel: Channel, services: Services, target: Target, batch: int, latency: int) -> None:
        """Connect at once where nothing has to be waited for. Raises Problem."""
        self._channel = channel
        self._services = services
        self._name = str(target)
        self._batch = batch
        self._latency = latency
        self._input: Writer | None = None
        self._output: Output | None = None
        self._lost: str | None = None  # why nothing more can be written; what had come before is still to be read
        self._over: Deadline | None = None  # the peer has ended: how long what waits may still be written
        self._scope: CancelScope | None = None
        self._scope = have_connected(channel, services, target, self._serve)

    def _serve(self, connected: socket.socket) -> None:
        context = self._services.context
        try:
            outgoing = os.dup(connected.fileno())
        except OSError as error:
            connected.close()
            raise Problem(INTERNAL_ERROR, f"{self._name}: {error.strerror}") from None
        fd = connected.detach()
        self._output = Output(context, self._channel, fd, self._output_ended, batch=self._batch, latency=self._latency)
        self._input = input_to(self._channel, context, outgoing, self._input_broken)
        self._channel.ready()
        self._output.start()

    # From the front end (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        if self._input is None or not nbytes:
            self._channel.taken(nbytes)
        else:
            self._input.put(data)

    def done(self) -> None:
        if self._input is not None:
            self._input.when_empty(self._close_input)

    def command(self, command: str, message: dict[str, Any]) -> None:
        if command != "options" or self._output is None:
            return
        options = Options(message, "options of stream")
        for member in ("batch", "latency"):
            try:
                value = options.integer(member, None, least=0)
            except Problem as problem:
                self._services.context.log.warning("option-ignored", why=problem.message)
                continue
            self._output.adjust(*((value, None) if member == "batch" else (None, value)))

    def end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        if self._over is not None:
            self._over.end()
        if self._output is not None:
            self._output.close()
        if self._input is not None:
            writer, self._input = self._input, None
            writer.close()

    # From the peer

    def _close_input(self) -> None:
        """No more in our direction; the other stays open."""
        if self._lost is not None:  # not all was taken: `_broken` tells
            return
        if self._input is not None:
            writer, self._input = self._input, None
            self._channel.outlet = None
            writer.close()
        if self._over is not None:
            self._channel.close()

    def _input_broken(self, reason: str) -> None:
        """The peer has reset it. What it had sent before goes out first, and ends as if nothing were amiss: the kernel
        tells of a reset once."""
        self._lost = reason
        self._services.context.loop.call_soon(self._broken, reason)

    def _broken(self, reason: str) -> None:
        if self._input is not None:
            writer, self._input = self._input, None
            self._channel.outlet = None
            writer.close()
            self._channel.take_all()
        if self._output is None or self._over is not None:
            self._channel.close(Problem(DISCONNECTED, f"{self._name}: {reason}"))

    def _output_ended(self, error: OSError | None) -> None:
        lost = self._lost if error is None else error.strerror
        if lost is not None:
            self._channel.close(Problem(DISCONNECTED, f"{self._name}: {lost}"))
            return
        self._channel.done()
        if self._input is None or not self._input.queued:
            self._channel.close()
            return
        context = self._services.context
        self._over = Deadline(context.loop, self._takes_no_more)
        self._over.begin(context.limits.stuck_seconds)
        self._input.when_empty(self._close_input)

    def _takes_no_more(self) -> None:
        self._services.context.log.limit("stuck_seconds", self._services.context.limits.stuck_seconds)
        self._channel.close()
