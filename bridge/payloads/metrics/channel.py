"""Payload `metrics1` of `source: "internal"`: samples of this machine's numbers, in time (docs/metrics.md)."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import anyio
import msgspec

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import PROTOCOL_ERROR, TOO_LARGE, Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.conversation import Conversation
from ..served.options import Options
from .budget import Allowance
from .pace import MS, Pace
from .readings import Readings
from .request import Request, request
from .series import Series
from .values import Taken


class _Source:
    """The payload of a channel to which nothing is sent (served/channel.py). `end` is called when it is over."""

    __slots__ = ("end",)

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end

    def data(self, data: Span, nbytes: int) -> None:
        raise Problem(PROTOCOL_ERROR, "metrics1: expected no data")

    def done(self) -> None:
        """Changes nothing."""

    def command(self, command: str, message: dict[str, Any]) -> None:
        """Changes nothing."""


def metrics(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem, see `check`."""
    options = Options(message)
    channel = Channel(port, options, services)
    asked = request(message)
    channel.ignores_done = True
    conversation = Conversation(channel, options, services)
    channel.serve(_Source(conversation.cancel))
    channel.ready()
    most = services.context.limits.frame_bytes - len(port.ident) - 1
    services.tasks.start_soon(conversation.run, partial(_serve, asked, most))
    return channel


def check(message: dict[str, Any]) -> None:
    """Raises the Problem with which an open is refused for its options."""
    request(message)


async def _serve(asked: Request, most: int, channel: Conversation) -> None:
    readings = channel.services.once(Readings)
    allowance = readings.budget.join(time.monotonic())
    try:
        await _sample(asked, most, channel, readings, allowance)
    finally:
        allowance.leave()


async def _sample(asked: Request, most: int, channel: Conversation, readings: Readings, allowance: Allowance) -> None:
    """Until the channel is closed. `most`: bytes of one message. Raises Problem: there is a longer one."""
    series = Series(asked, channel.services.context.limits.metric_instances)
    pace = Pace(asked.interval, time.monotonic_ns(), time.time_ns())
    taken: Mapping[str, Taken] = {}
    while True:
        await anyio.sleep(max(0, pace.due - time.monotonic_ns()) / 1e9)
        now = time.time_ns()
        if not pace.take(time.monotonic_ns(), now):
            continue
        taken, spent = await readings.take(asked, pace.due / 1e9, taken)
        began = time.thread_time()
        messages = list(_messages(series, pace, series.add(taken), now // MS))
        readings.clip(series.clipped)
        allowance.spend(time.monotonic(), spent + time.thread_time() - began)
        for message in messages:
            if len(message) > most:
                channel.services.context.log.limit("frame_bytes", channel.services.context.limits.frame_bytes)
                told = f"metrics1: {len(message)} bytes to be told, expected at most {most} (frame_bytes)"
                raise Problem(TOO_LARGE, told)
            await channel.send_unit(message)
        pace.taken(time.monotonic_ns())
        pace.skip(int(allowance.free_at(pace.due / 1e9) * 1e9))


def _messages(series: Series, pace: Pace, changed: bool, now: int) -> Iterator[bytes]:
    """What is to be said of the last sample; `now` is the wall clock in milliseconds."""
    if changed or pace.broken:
        yield _json(series.meta(pace.timestamp, now))
        pace.told()
    yield _json([series.packed()])


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that is no UTF-8
        return json.dumps(value, separators=(",", ":")).encode()
