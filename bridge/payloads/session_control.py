"""Payload `session-control`: ends a session that nobody uses (docs/internal-bus.md, "session-control")."""

from typing import Any, Final

import anyio

from spanbridge.protocol.frames import Span

from .base import Port, Services
from .bus.cockpit_conf import CockpitConf
from .countdown import Countdown, Counter, End, Event, Logout
from .served.channel import Channel
from .served.options import Options

LONGEST_MINUTES: Final = 240


class SessionControl:
    """What one `session-control` channel does. All of a session share one countdown."""

    def __init__(self, channel: Channel, services: Services) -> None:
        self._channel = channel
        self._idle = services.once(Idle)
        self._idle.join(self)

    def data(self, data: Span, nbytes: int) -> None:
        """It carries no data."""
        self._channel.taken(nbytes)

    def done(self) -> None:
        """Means nothing here."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        if command == "active":
            self._idle.active()

    def end(self) -> None:
        self._idle.leave(self)

    def ready(self, timeout: int) -> None:
        """`timeout`: seconds, 0 for none."""
        self._channel.ready(timeout=timeout)

    def countdown(self, counter: int) -> None:
        self._channel.control("countdown", counter=counter)

    def logout(self) -> None:
        self._channel.control("logout")


def session_control(port: Port, message: dict[str, Any], services: Services) -> Channel:
    channel = Channel(port, Options(message), services)
    channel.ignores_done = True
    return channel.serve(SessionControl(channel, services))


class Idle:
    """The countdown of one session (Services.once): runs while a channel is open and, once it is over, to the end."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._time = services.context.loop.time
        self._conf = services.once(CockpitConf)
        self._channels: dict[SessionControl, None] = {}
        self._timeout = 0
        self._countdown: Countdown | None = None
        self._running = anyio.CancelScope()

    def join(self, channel: SessionControl) -> None:
        self._channels[channel] = None
        if self._countdown is None:
            self._timeout = 60 * self._conf.number("Session", "IdleTimeout", 0, LONGEST_MINUTES, 0)
        channel.ready(self._timeout)
        if self._countdown is None and self._timeout:
            self._start()
        elif self._countdown is not None and self._countdown.over:
            channel.logout()

    def leave(self, channel: SessionControl) -> None:
        """Harmless for one that has not joined."""
        self._channels.pop(channel, None)
        if not self._channels and self._countdown is not None and not self._countdown.over:
            self._countdown = None
            self._running.cancel()

    def active(self) -> None:
        if self._countdown is not None:
            self._countdown.active(self._time())

    def _start(self) -> None:
        self._countdown = Countdown(self._timeout, self._time())
        self._running = anyio.CancelScope()
        self._services.tasks.start_soon(self._run, self._countdown, self._running)

    async def _run(self, countdown: Countdown, running: anyio.CancelScope) -> None:
        with running:
            while (due := countdown.due) is not None:
                await anyio.sleep_until(due)  # whoever is active only puts it off
                for event in countdown.advance(self._time()):
                    self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case Counter(seconds):
                for channel in list(self._channels):
                    channel.countdown(seconds)
            case Logout():
                for channel in list(self._channels):
                    channel.logout()
            case End():
                self._services.end_session(f"nobody used it for {self._timeout} s")
