"""Events: what extensions broadcast, kept for a while, and handed to whoever listens."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from ...limits import Limits
from .moment import iso

TOPIC_CHARS: Final = 128
EVENT_BYTES: Final = 256 << 10


class Event(NamedTuple):
    id: int
    topic: str
    text: bytes
    """As it is sent."""


class Subscription:
    """What one channel has not taken yet. The oldest go when it is too much.

    What comes again is not among what waits: it stays where it is kept, as long as it is, until it is taken.
    """

    def __init__(self, topics: Iterable[str], most_bytes: int, kept: deque[Event], after: int | None) -> None:
        """`kept`: the last events, whose ids follow one another; those that come after the one with this id come
        again, `None` for none."""
        self._most_bytes = most_bytes
        self._topics = [(topic.removesuffix("*"), topic.endswith("*")) for topic in topics]
        self._kept = kept
        again = [] if after is None else [event.id for event in kept if event.id > after and self.wants(event.topic)]
        self._again = deque(again)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._missed = 0
        self.on_news: Callable[[], None] = _nobody

    def wants(self, topic: str) -> bool:
        return any(topic == wanted or (open_end and topic.startswith(wanted)) for wanted, open_end in self._topics)

    def put(self, event: Event) -> None:
        self._waiting.append(event.text)
        self._size += len(event.text)
        while self._size > self._most_bytes:
            self._size -= len(self._waiting.popleft())
            self._missed += 1
        self.on_news()

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return bool(self._again or self._waiting or self._missed)

    def take(self) -> bytes:
        """The next event, of which there is one; or how many were missed, in their place."""
        if self._again:
            return self._next_again()
        if self._missed:
            missed, self._missed = self._missed, 0
            return _missed(missed)
        text = self._waiting.popleft()
        self._size -= len(text)
        return text

    def _next_again(self) -> bytes:
        missed = 0
        while self._again and (not self._kept or self._again[0] < self._kept[0].id):  # it has gone meanwhile
            self._again.popleft()
            missed += 1
        return _missed(missed) if missed else self._kept[self._again.popleft() - self._kept[0].id].text


def _missed(number: int) -> bytes:
    return msgspec.json.encode({"missed": number})


def _nobody() -> None:
    """Nobody listens yet."""


class _Stream:
    def __init__(self) -> None:
        self.last = 0
        self.kept: deque[Event] = deque()
        self.size = 0
        self.subscriptions: set[Subscription] = set()


class Events:
    """Of all extensions."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._streams: dict[str, _Stream] = {}

    def broadcast(self, extension: str, topic: str, data: Any) -> None:
        """From any thread. Raises ValueError."""
        if not 1 <= len(topic) <= TOPIC_CHARS:
            raise ValueError(f"broadcast: a topic of {len(topic)} characters, expected 1 to {TOPIC_CHARS}")
        try:
            told = msgspec.json.encode(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"broadcast: {error}") from None
        if len(told) + len(topic) > EVENT_BYTES:
            raise ValueError(f"broadcast: over {EVENT_BYTES} bytes")
        self._loop.call_soon_threadsafe(self._publish, extension, topic, told, iso())

    def _publish(self, extension: str, topic: str, data: bytes, time: str) -> None:
        stream = self._streams.setdefault(extension, _Stream())
        stream.last += 1
        told = {"extension": extension, "topic": topic, "data": msgspec.Raw(data), "id": stream.last, "time": time}
        event = Event(stream.last, topic, msgspec.json.encode(told))
        stream.kept.append(event)
        stream.size += len(event.text)
        most, most_bytes = self._limits.extension_events, self._limits.extension_events_bytes
        while len(stream.kept) > most or stream.size > most_bytes:
            stream.size -= len(stream.kept.popleft().text)
        for subscription in tuple(stream.subscriptions):
            if subscription.wants(topic):
                subscription.put(event)

    def subscribe(
        self, extension: str, topics: Iterable[str], after: int | None, on_news: Callable[[], None]
    ) -> Subscription:
        """`after`: what is kept and newer comes first. `on_news` is called with each event that comes later."""
        stream = self._streams.setdefault(extension, _Stream())
        if after is not None and after > stream.last:  # an id of another host: here all is newer
            after = 0
        subscription = Subscription(topics, self._limits.extension_events_waiting_bytes, stream.kept, after)
        subscription.on_news = on_news
        stream.subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, extension: str, subscription: Subscription) -> None:
        self._streams[extension].subscriptions.discard(subscription)
