"""Bounded queues, and who waits for whom."""

from collections import Counter

import anyio
import pytest

from spanbridge.protocol.flow import BLOCK_BYTES
from spanbridge.sdk import Channel
from spanbridge.sdk.outbox import Outbox
from spanbridge.testing.deadline import SECONDS

from .peer import MemoryWire, Peer, helping, settled

pytestmark = pytest.mark.anyio


def unread(peer: Peer) -> int:
    """Chunks that the helper has not read."""
    return len(peer.wire.fed)


async def test_a_slow_channel_stops_the_reading_and_loses_nothing() -> None:
    gate = anyio.Event()
    taken: list[bytes] = []

    async def handler(channel: Channel) -> None:
        if channel.id == "slow":
            await gate.wait()
        async for payload in channel:
            taken.append(payload)
            await channel.send(payload)

    async with helping(handler, channel_bytes=10_000) as peer:
        peer.open("slow")
        peer.open("quick")
        sent = [b"%05d" % number + b"." * 995 for number in range(100)]
        for payload in sent:
            peer.send("slow", payload)
        peer.send("quick", b"behind them")
        await settled()
        assert 89 <= unread(peer) <= 91  # and one pipe carries them all
        assert taken == []
        gate.set()
        assert [await peer.data("slow") for _ in sent] == sent
        assert await peer.data("quick") == b"behind them"


async def test_reading_goes_on_when_half_is_taken() -> None:
    async def handler(channel: Channel) -> None:
        async for _ in channel:
            await channel.ready()
            await turns[len(peer.wire.frames) - 1].wait()

    turns = [anyio.Event() for _ in range(30)]
    async with helping(handler, channel_bytes=10 * (936 + 64)) as peer:
        peer.open("a")
        for _ in range(20):
            peer.send("a", b"x" * 936)
        await settled()
        left = unread(peer)
        assert left == 20 - 11  # one is taken, ten wait
        for early in turns[:4]:
            early.set()
            await settled()
            assert unread(peer) == left
        turns[4].set()
        await settled()
        assert unread(peer) == left - 5
        for turn in turns:
            turn.set()


async def test_a_full_channel_that_ends_lets_the_others_go_on() -> None:
    async def handler(channel: Channel) -> None:
        if channel.id == "slow":
            await gate.wait()
            return
        async for payload in channel:
            await channel.send(payload)

    gate = anyio.Event()
    async with helping(handler, channel_bytes=1_000) as peer:
        peer.open("slow")
        peer.open("quick")
        for _ in range(5):
            peer.send("slow", b"x" * 1_000)
        peer.send("quick", b"hello")
        await settled()
        assert unread(peer) == 5
        gate.set()
        await peer.expect("close", "slow")
        assert await peer.data("quick") == b"hello"


async def test_many_channels_have_one_bound_together() -> None:
    async def handler(channel: Channel) -> None:
        await gate.wait()
        async for payload in channel:
            await channel.send(payload)

    gate = anyio.Event()
    async with helping(handler, channel_bytes=1_000_000, intake_bytes=10_000) as peer:
        for number in range(50):
            peer.open(str(number))
            peer.send(str(number), b"x" * 936)
        await settled()
        assert unread(peer) == 100 - 20
        gate.set()
        for _ in range(50):
            assert (await peer.next()).payload == b"x" * 936


async def test_empty_payloads_count_too() -> None:
    async def handler(channel: Channel) -> None:
        await gate.wait()

    gate = anyio.Event()
    async with helping(handler, channel_bytes=640) as peer:
        peer.open("a")
        for _ in range(50):
            peer.send("a", b"")
        await settled()
        assert unread(peer) == 40
        gate.set()
        await peer.expect("close", "a")


async def test_send_waits_while_the_bridge_does_not_read() -> None:
    sent = 0

    async def handler(channel: Channel) -> None:
        nonlocal sent
        for _ in range(100):
            await channel.send(b"x" * 1_000)
            sent += 1

    async with helping(handler, outbox_bytes=10_000) as peer:
        peer.wire.stuck = True
        peer.open("a")
        await settled()
        assert sent == 10
        peer.wire.stuck = False
        peer.wire.tell()
        for _ in range(100):
            assert len(await peer.data("a")) == 1_000
        assert peer.wire.writes < 25


async def test_those_who_wait_have_their_turns() -> None:
    async def handler(channel: Channel) -> None:
        for _ in range(100):
            await channel.send(b"x" * 1_000)

    async with helping(handler, outbox_bytes=5_000) as peer:
        for channel in "abcdefgh":
            peer.open(channel)
        found = [await peer.next() for _ in range(808)]
        half = Counter(frame.channel for frame in found[:400])
        assert min(half[channel] for channel in "abcdefgh") > 40
        assert {frame.message["command"] for frame in found if not frame.channel} == {"close"}


async def test_nobody_overtakes_those_who_wait() -> None:
    class Wire(MemoryWire):
        """Tells the others of each write before the outbox can."""

        async def write(self, data: bytes) -> None:
            written.append(data)
            wrote.set()

    async def late() -> None:
        await wrote.wait()
        await outbox.put(b"late", bool)

    written: list[bytes] = []
    wrote = anyio.Event()
    outbox = Outbox(Wire(), 10)
    outbox.put_now(b"0123456789")
    with anyio.fail_after(SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(late)
            tasks.start_soon(outbox.put, b"early", bool)
            await settled()
            tasks.start_soon(outbox.run)
            await settled()
            tasks.cancel_scope.cancel()
    assert b"".join(written) == b"0123456789earlylate"


async def test_a_sender_that_is_cancelled_while_it_waits_holds_up_nobody() -> None:
    async def handler(channel: Channel) -> None:
        while True:
            await channel.send(channel.id.encode() * 500)

    async with helping(handler, outbox_bytes=1_000) as peer:
        peer.wire.stuck = True
        for channel in "abc":
            peer.open(channel)
        await settled()
        for channel in "ab":
            peer.control("close", channel)
        await settled()
        peer.wire.stuck = False
        peer.wire.tell()
        closed: set[str] = set()
        while len(closed) < 2:
            frame = await peer.next()
            if not frame.channel:
                closed.add(frame.message["channel"])
        frames = [await peer.next() for _ in range(10)]
        assert {frame.channel for frame in frames} == {"c"}
        peer.control("close", "c")


async def test_pings_without_end_stop_the_reading_while_the_bridge_does_not() -> None:
    async def handler(channel: Channel) -> None:
        raise AssertionError("no channel was opened")

    async with helping(handler, answer_bytes=10_000) as peer:
        peer.wire.stuck = True
        for number in range(100):
            peer.control("ping", x="x" * 964, n=number)
        await settled()
        assert 88 <= unread(peer) <= 92
        peer.wire.stuck = False
        peer.wire.tell()
        for number in range(100):
            await peer.expect("pong", n=number)


async def test_many_frames_are_written_at_once() -> None:
    async def echo(channel: Channel) -> None:
        async for payload in channel:
            await channel.send(payload)

    async with helping(echo) as peer:
        other = Peer(type(peer.wire)())
        other.open("a")
        for number in range(1_000):
            other.send("a", b"%d" % number)
        peer.raw(b"".join(other.wire.fed))
        assert [await peer.data("a") for _ in range(1_000)] == [b"%d" % number for number in range(1_000)]
        assert peer.wire.writes <= 5


async def test_what_was_taken_is_acknowledged() -> None:
    async def handler(channel: Channel) -> None:
        await gate.wait()
        async for _ in channel:
            pass

    gate = anyio.Event()
    async with helping(handler) as peer:
        peer.open(send_acks="bytes")
        peer.send("a", b"x" * 100)
        peer.send("a", b"")
        peer.send("a", b"x" * 20)
        await settled()
        assert len(peer.wire.frames) == 1
        gate.set()
        for nbytes in (100, 0, 20):
            assert await peer.expect("ack", "a") == {"command": "ack", "channel": "a", "bytes": nbytes}
        peer.send("a", b"y")
        await peer.expect("ack", "a", bytes=1)


async def test_flow_control_keeps_a_window() -> None:
    async def handler(channel: Channel) -> None:
        for _ in range(100):
            await channel.send(b"x" * 10_000)

    async with helping(handler, window_bytes=100_000) as peer:
        peer.open(flow_control=True)
        await settled()
        sent = 0
        pings: list[int] = []
        while sent < 1_000_000:
            while (frame := await peer.next()).channel:
                sent += len(frame.payload)
                if sent == 1_000_000:
                    break
            else:
                assert frame.message["command"] == "ping"
                assert frame.message["sequence"] == sent
                assert sent - (pings[-1] if pings else 0) <= BLOCK_BYTES + 10_000
                pings.append(sent)
            await settled()
            assert sum(len(each.payload) for each in peer.wire.frames if each.channel) <= (pings or [0])[-1] + 110_000
            peer.control("pong", "a", sequence=sent)
        assert len(pings) >= 50


@pytest.mark.parametrize("sequence", [None, "x", -1, 1 << 40, 0])
async def test_a_pong_that_is_none_opens_nothing(sequence: object) -> None:
    async def handler(channel: Channel) -> None:
        while True:
            await channel.send(b"x" * 10_000)

    async with helping(handler, window_bytes=100_000) as peer:
        peer.open(flow_control=True)
        await settled()
        before = len(peer.wire.frames)
        peer.control("pong", "a", sequence=sequence)
        await settled()
        assert len(peer.wire.frames) == before
        peer.control("close", "a")


async def test_a_pong_behind_more_data_than_is_read_is_not_waited_for() -> None:
    """An echo with flow control: the pong is in the pipe, behind data that nobody takes until it has come."""

    async def echo(channel: Channel) -> None:
        async for payload in channel:
            await channel.send(payload)

    async with helping(echo, window_bytes=50_000, channel_bytes=20_000) as peer:
        peer.open(flow_control=True)
        for _ in range(30):
            peer.send("a", b"x" * 10_000)
        peer.control("pong", "a", sequence=10_000)
        await settled()
        assert unread(peer) == 0
        total = sum(len(frame.payload) for frame in peer.wire.frames if frame.channel)
        assert total >= 200_000
        peer.control("pong", "a", sequence=total)
        await settled()
        assert sum(len(frame.payload) for frame in peer.wire.frames if frame.channel) == 300_000
