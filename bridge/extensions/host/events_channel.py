"""A channel that listens to the events of one extension."""

from typing import Any

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import NOT_FOUND, Problem

from ...payloads.base import Port, Services
from ...payloads.served.channel import Channel
from ..services.events import Events
from .opening import EventsOpen
from .requests import Requests


class EventsChannel:
    """The payload of its channel."""

    __slots__ = ("_events", "_opened", "_subscription", "_waits", "channel")

    def __init__(self, channel: Channel, opened: EventsOpen, events: Events) -> None:
        self.channel = channel
        self._opened = opened
        self._events = events
        self._subscription = events.subscribe(opened.extension, opened.topics, opened.after, self._news)
        self._waits = False  # until more may be sent

    def settle(self) -> None:
        self.channel.ready()
        self._put()

    def data(self, data: Span, nbytes: int) -> None:
        """Nothing is to be said here: it is dropped."""
        self.channel.taken(nbytes)

    def done(self) -> None:
        """It goes on listening."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """It knows no other."""

    def end(self) -> None:
        self._events.unsubscribe(self._opened.extension, self._subscription)

    def _news(self) -> None:
        if not self._waits:
            self.channel.guard(self._put)

    def _go_on(self) -> None:
        self._waits = False
        self.channel.guard(self._put)

    def _put(self) -> None:
        while self._subscription.has_more:
            if not self.channel.may_send(self._go_on):
                self._waits = True
                return
            self.channel.send_unit(self._subscription.take())


def events_channel(port: Port, opened: EventsOpen, services: Services, requests: Requests) -> EventsChannel:
    """For an open that was read. Raises Problem."""
    if not requests.knows(opened.extension):
        raise Problem(NOT_FOUND, f"there is no extension {opened.extension!r}")
    channel = Channel(port, opened.terms, services)
    payload = EventsChannel(channel, opened, requests.events)
    channel.serve(payload)
    return payload
