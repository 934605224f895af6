"""What a handler meets, or does, at a bad moment costs its own channel alone."""

import asyncio
import gc
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from spanbridge.sdk import Channel, ChannelClosed, Problem, open_helper

from .peer import MemoryWire, Peer, helping, settled

pytestmark = pytest.mark.anyio


async def test_a_frame_that_waits_is_not_sent_once_its_channel_is_over() -> None:
    """It would follow the answer to the close, and be taken for one of the next channel of that id."""
    outcomes = []

    async def handler(channel: Channel) -> None:
        await channel.ready()
        if "quiet" in channel.options:
            await anyio.sleep_forever()
        with anyio.CancelScope(shield=True):
            await channel.send(b"x" * 1_000)
            try:
                await channel.send(b"late")
            except ChannelClosed as closed:
                outcomes.append(closed)

    async with helping(handler, outbox_bytes=500) as peer:
        peer.wire.stuck = True
        peer.open()
        await settled()
        peer.control("close", "a")
        peer.open(quiet=True)
        await settled()
        peer.wire.stuck = False
        peer.wire.tell()
        await peer.expect("ready", "a")
        assert await peer.data("a") == b"x" * 1_000
        await peer.expect("close", "a")
        await peer.expect("ready", "a")
        await settled()
        assert len(peer.wire.frames) == 5
        assert len(outcomes) == 1
        peer.control("close", "a")
        await peer.expect("close", "a")


async def test_a_task_that_was_cancelled_and_is_awaited() -> None:
    """To whoever awaits it that looks like a cancellation of their own."""

    async def handler(channel: Channel) -> None:
        await channel.ready()
        async for _ in channel:
            task = asyncio.create_task(anyio.sleep_forever())
            await anyio.lowlevel.checkpoint()
            task.cancel()
            await task

    async with helping(handler) as peer:
        for ident in ("a", "b"):
            peer.open(ident)
            await peer.expect("ready", ident)
        peer.send("a", b"")
        await peer.expect("close", "a", problem="internal-error", message="CancelledError: ")
        await settled()
        peer.control("close", "b")
        assert await peer.expect("close", "b") == {"command": "close", "channel": "b"}


@pytest.mark.parametrize(
    "problem",
    [
        Problem("not-found", "there is no such thing", path=Path("/nowhere")),
        Problem("not-found", cast("Any", FileNotFoundError("nowhere"))),
        Problem("not-found", "a member that has a parameter's name", problem="twice"),
    ],
    ids=str,
)
async def test_a_problem_that_cannot_be_told(problem: Problem) -> None:
    async def handler(channel: Channel) -> None:
        await channel.ready()
        async for _ in channel:
            raise problem

    async with helping(handler) as peer:
        for ident in ("a", "b"):
            peer.open(ident)
            await peer.expect("ready", ident)
        peer.send("a", b"")
        closed = await peer.expect("close", "a", problem="internal-error")
        assert closed["message"].startswith("TypeError: ")
        await settled()
        peer.control("close", "b")
        assert await peer.expect("close", "b") == {"command": "close", "channel": "b"}


async def test_channels_that_are_over_before_anybody_takes_them_are_not_kept() -> None:
    """As where one is served after the other, and the first takes long."""
    peer = Peer(MemoryWire())
    async with open_helper(wire=peer.wire, signals=()) as helper:
        peer.control("init", version=1, host="localhost")
        peer.open("first")
        channels = [await anext(helper)]
        for _ in range(100):
            peer.open("b")
            peer.control("close", "b")
        peer.open("last")
        await peer.wire.wait(lambda: len(peer.wire.frames) == 101)
        gc.collect()
        assert sum(isinstance(each, Channel) for each in gc.get_objects()) < 50
        channels.append(await anext(helper))
        assert [channel.id for channel in channels] == ["first", "last"]


@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(3)], ids=str)
async def test_what_was_sent_before_a_helper_fails_is_written(error: BaseException) -> None:
    peer = Peer(MemoryWire())
    peer.control("init", version=1, host="localhost")
    peer.open()

    async def fail() -> None:
        async with open_helper(wire=peer.wire, signals=()) as helper:
            async with await anext(helper) as channel:
                await channel.send(b"answer")
            raise error

    with pytest.raises(type(error)):
        await fail()
    await peer.expect("init")
    assert await peer.data("a") == b"answer"
    assert await peer.expect("close", "a") == {"command": "close", "channel": "a"}
