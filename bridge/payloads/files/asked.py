"""Channels on which the front end only asks: data from it is an error, its `done` says nothing."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio import CancelScope

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, Problem

from ..base import Services
from ..served.channel import Channel
from ..served.jobs import Jobs
from .errors import problem_of


class Asked:
    """What answers on `channel`, about `path`: an async function, cancelled when the channel is over."""

    __slots__ = ("_answer", "_scope", "channel", "jobs", "path", "services")

    def __init__(
        self, channel: Channel, services: Services, path: bytes, answer: Callable[["Asked"], Awaitable[None]]
    ) -> None:
        self.channel = channel
        self.services = services
        self.jobs = services.once(Jobs)
        self.path = path
        self._answer = answer
        self._scope = CancelScope()
        channel.ignores_done = True
        services.tasks.start_soon(self._run)

    async def turn(self) -> None:
        """Wait until the front end takes data of this channel."""
        while True:
            again = anyio.Event()
            if self.channel.may_send(again.set):
                return
            await again.wait()

    async def send_units(self, messages: Sequence[bytes]) -> None:
        """Each when the front end takes it."""
        while messages:
            await self.turn()
            messages = self.channel.send_units(messages)

    async def _run(self) -> None:
        channel = self.channel
        with self._scope:
            try:
                await self._answer(self)
            except Problem as problem:
                channel.close(problem)
            except OSError as error:
                channel.close(problem_of(error, self.path))
            except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
                self.services.context.log.unforeseen(f"payload {channel.kind}", error)
                channel.close(Problem(INTERNAL_ERROR, f"{channel.kind}: a mistake within the bridge"))

    # For the channel (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        raise Problem(PROTOCOL_ERROR, f"{self.channel.kind}: it takes no data")

    def done(self) -> None:
        """Ignored."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Ignored, as everything that a payload does not know."""

    def end(self) -> None:
        self._scope.cancel()
