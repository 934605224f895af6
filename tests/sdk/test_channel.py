"""A channel, from its open to its close."""

from typing import Any, cast

import anyio
import msgspec
import pytest

from spanbridge.sdk import Channel, ChannelClosed, Problem, open_helper
from spanbridge.sdk.helper import Handler

from .peer import MemoryWire, Peer, helping, settled

pytestmark = pytest.mark.anyio


async def echo(channel: Channel) -> None:
    await channel.ready()
    async for payload in channel:
        await channel.send(payload)
    await channel.done()


async def test_from_open_to_close() -> None:
    async with helping(echo) as peer:
        peer.open()
        await peer.expect("ready", "a")
        for payload in (b"hello", b"", b"\n\xff"):
            peer.send("a", payload)
            assert await peer.data("a") == payload
        peer.control("done", "a")
        await peer.expect("done", "a")
        assert await peer.expect("close", "a") == {"command": "close", "channel": "a"}


async def test_a_handler_that_is_no_async_function_is_told_so() -> None:
    def plain(channel: Channel) -> None:
        """What somebody may write who does not know better."""

    async with helping(cast("Handler", plain)) as peer:
        peer.open()
        message = "TypeError: the handler 'plain' is no async function"
        await peer.expect("close", "a", problem="internal-error", message=message)


async def test_data_that_follows_the_open_at_once() -> None:
    async with helping(echo) as peer:
        peer.open()
        peer.send("a", b"one")
        peer.send("a", b"two")
        peer.control("done", "a")
        await peer.expect("ready", "a")
        assert [await peer.data("a"), await peer.data("a")] == [b"one", b"two"]
        await peer.expect("done", "a")
        await peer.expect("close", "a")


async def test_the_open_message_is_its_options() -> None:
    async def handler(channel: Channel) -> None:
        await channel.ready(options=channel.options, some_name=channel.id)

    async with helping(handler) as peer:
        peer.open("ż", x=[1, {"y": None}])
        told = await peer.expect("ready", "ż", some_name="ż")
        assert told["options"] == {"command": "open", "channel": "ż", "payload": "test", "x": [1, {"y": None}]}
        await peer.expect("close", "ż")


async def test_a_close_of_the_front_end_is_answered_and_cancels_the_handler() -> None:
    ended = []

    async def handler(channel: Channel) -> None:
        try:
            await channel.ready()
            await anyio.sleep_forever()
        finally:
            ended.append(channel.over)
            with pytest.raises(ChannelClosed):
                await channel.send(b"too late")
            await channel.close("internal-error")  # harmless

    async with helping(handler) as peer:
        peer.open()
        await peer.expect("ready", "a")
        peer.control("close", "a", problem="disconnected")
        assert await peer.expect("close", "a") == {"command": "close", "channel": "a"}
        await settled()
        assert ended == [True]
        peer.open()
        await peer.expect("ready", "a")
        peer.control("close", "a")
        await peer.expect("close", "a")


async def test_an_id_can_be_used_again_while_its_old_handler_cleans_up() -> None:
    gate = anyio.Event()

    async def handler(channel: Channel) -> None:
        await channel.ready(turn=channel.options["turn"])
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await gate.wait()

    async with helping(handler) as peer:
        peer.open(turn=1)
        await peer.expect("ready", "a", turn=1)
        peer.control("close", "a")
        peer.open(turn=2)
        await peer.expect("close", "a")
        await peer.expect("ready", "a", turn=2)
        gate.set()
        await settled()
        assert len(peer.wire.frames) == 4
        peer.control("close", "a")
        await peer.expect("close", "a")


async def test_opened_and_closed_at_once() -> None:
    served = []

    async def handler(channel: Channel) -> None:
        served.append(channel.id)

    async with helping(handler) as peer:
        other = Peer(MemoryWire())
        other.open("a")
        other.control("close", "a")
        peer.raw(b"".join(other.wire.fed))
        await peer.expect("close", "a")
        peer.open("b")
        await peer.expect("close", "b")
        assert served == ["b"]


async def test_a_handler_that_raises_takes_nothing_down_but_its_channel(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPANBRIDGE_DEBUG", raising=False)

    async def handler(channel: Channel) -> None:
        await channel.ready()
        async for payload in channel:
            if payload == b"group":
                async with anyio.create_task_group():
                    raise KeyError("grouped")
            elif payload == b"exit":
                raise SystemExit(3)
            elif payload == b"raise":
                raise ValueError("no\nsuch thing")
            elif payload == b"long":
                raise ValueError("x" * 1_000_000)
            await channel.send(payload)

    async with helping(handler) as peer:
        peer.open("good")
        await peer.expect("ready", "good")
        for payload, told in (
            (b"raise", "ValueError: no\nsuch thing"),
            (b"exit", "SystemExit: 3"),
            (b"group", "KeyError: 'grouped'"),
        ):
            peer.open("bad")
            await peer.expect("ready", "bad")
            peer.send("bad", payload)
            await peer.expect("close", "bad", problem="internal-error", message=told)
        peer.send("good", b"still here")
        assert await peer.data("good") == b"still here"
        peer.open("long")
        await peer.expect("ready", "long")
        peer.send("long", b"long")
        assert len((await peer.expect("close", "long"))["message"]) < 3_000
        assert capsys.readouterr().err.splitlines() == [
            "channel bad: ValueError: no\\nsuch thing",
            "channel bad: SystemExit: 3",
            "channel bad: KeyError: 'grouped'",
            f"channel long: ValueError: {'x' * (2_000 - 26)}...",
        ]
        monkeypatch.setenv("SPANBRIDGE_DEBUG", "helper")
        peer.open("bad")
        peer.send("bad", b"raise")
        await peer.expect("ready", "bad")
        await peer.expect("close", "bad")
        assert "Traceback (most recent call last):" in capsys.readouterr().err


async def test_a_problem_is_the_close(capsys: pytest.CaptureFixture[str]) -> None:
    async def handler(channel: Channel) -> None:
        async with anyio.create_task_group():
            raise Problem("not-found", "no such thing", exit_status=7)

    async with helping(handler) as peer:
        peer.open()
        assert await peer.expect("close", "a") == {
            "command": "close",
            "channel": "a",
            "problem": "not-found",
            "message": "no such thing",
            "exit-status": 7,
        }
    assert capsys.readouterr().err == ""


async def test_its_own_close_is_the_last_word() -> None:
    refused: list[str] = []

    async def handler(channel: Channel) -> None:
        await channel.close("not-supported", "never", exit_status=1)
        for call in (channel.ready, channel.done, lambda: channel.send(b"x"), lambda: channel.control("x")):
            try:
                await call()
            except ChannelClosed as error:
                refused.append(str(error))
        assert [payload async for payload in channel] == []

    async with helping(handler) as peer:
        peer.open()
        closed = await peer.expect("close", "a", problem="not-supported", message="never")
        assert closed["exit-status"] == 1
        peer.send("a", b"on its way")
        peer.control("options", "a")
        peer.control("close", "a")
        await settled()
        assert len(peer.wire.frames) == 2
        assert refused == ["channel a is over"] * 4


async def test_other_control_messages_come_in_order_with_the_data() -> None:
    async def handler(channel: Channel) -> None:
        async for event in channel.events():
            await channel.send_json([event.decode() if isinstance(event, bytes) else event["command"]])
        await channel.control("over", some_member=1)

    async with helping(handler) as peer:
        peer.open()
        peer.send("a", b"one")
        peer.control("options", "a", x=1)
        peer.control("made-up", "a")
        peer.control("pong", "a")
        peer.send("a", b"two")
        peer.control("done", "a")
        found = [await peer.data("a") for _ in range(5)]
        assert found == [b'["one"]', b'["options"]', b'["made-up"]', b'["pong"]', b'["two"]']
        await peer.expect("over", "a", some_member=1)


async def test_who_reads_data_alone_sees_no_control() -> None:
    async with helping(echo) as peer:
        peer.open()
        await peer.expect("ready", "a")
        peer.control("options", "a")
        peer.send("a", b"x")
        assert await peer.data("a") == b"x"


async def test_a_ping_is_answered_when_all_before_it_is_seen_to() -> None:
    gate = anyio.Event()

    async def handler(channel: Channel) -> None:
        async for payload in channel:
            await gate.wait()
            await channel.send(payload)
        await anyio.sleep_forever()

    async with helping(handler) as peer:
        peer.open()
        peer.control("ping", "a", cookie=[1])
        assert await peer.expect("pong", "a") == {"command": "pong", "channel": "a", "cookie": [1]}
        peer.send("a", b"one")
        peer.control("ping", "a", cookie=2)
        await settled()
        assert len(peer.wire.frames) == 2
        gate.set()
        assert await peer.data("a") == b"one"
        await peer.expect("pong", "a", cookie=2)
        peer.send("a", b"two")
        peer.control("done", "a")
        peer.control("ping", "a", cookie=3)
        assert await peer.data("a") == b"two"
        await peer.expect("pong", "a", cookie=3)
        peer.control("ping", "a", cookie=4)
        await peer.expect("pong", "a", cookie=4)
        peer.control("ping", cookie=5)
        await peer.expect("pong", cookie=5)
        peer.control("close", "a")


async def test_who_reads_nothing_can_say_so() -> None:
    async def handler(channel: Channel) -> None:
        await settled()
        channel.discard()
        await channel.ready()
        await anyio.sleep_forever()

    async with helping(handler, channel_bytes=1_000, intake_bytes=2_000) as peer:
        peer.open(send_acks="bytes")
        peer.send("a", b"x" * 100)
        peer.control("ping", "a", n=1)
        peer.control("options", "a")
        await peer.expect("ack", "a", bytes=100)
        await peer.expect("pong", "a", n=1)
        await peer.expect("ready", "a")
        for _ in range(100):
            peer.send("a", b"x" * 1_000)
        peer.control("ping", "a", n=2)
        await peer.wire.wait(lambda: peer.wire.frames[-1].message.get("n") == 2)
        peer.control("close", "a")


async def test_texts() -> None:
    async def handler(channel: Channel) -> None:
        async for text in channel.texts():
            await channel.send(text[::-1])

    async with helping(handler) as peer:
        peer.open()
        data = "zażółć".encode()
        for at in range(len(data)):
            peer.send("a", data[at : at + 1])
        peer.control("done", "a")
        assert [(await peer.data("a")).decode() for _ in "zażółć"] == list("zażółć")
        await peer.expect("close", "a", problem=None)
        for wrong in (b"\xff", b"\xc5"):
            peer.open()
            peer.send("a", wrong)
            peer.control("done", "a")
            told = await peer.expect("close", "a", problem="protocol-error")
            assert told["message"].startswith("expected text in UTF-8")


class Order(msgspec.Struct):
    item: str
    count: int = 1


async def test_messages() -> None:
    async def handler(channel: Channel) -> None:
        async for order in channel.messages(Order):
            await channel.send_json({"item": order.item, "count": order.count * 2})

    async def anything(channel: Channel) -> None:
        async for message in channel.messages():
            await channel.send_json(message)

    async def either(channel: Channel) -> None:
        await (handler if channel.id == "a" else anything)(channel)

    async with helping(either) as peer:
        peer.open()
        peer.send("a", b'{"item": "x", "count": 2}')
        assert msgspec.json.decode(await peer.data("a")) == {"item": "x", "count": 4}
        peer.send("a", b'{"item": "x", "count": "two"}')
        told = await peer.expect("close", "a", problem="protocol-error")
        assert told["message"] == "expected a message in JSON: Expected `int`, got `str` - at `$.count`"
        peer.open("b")
        peer.send("b", b" [1, null]")
        assert await peer.data("b") == b"[1,null]"
        peer.send("b", b"[" * 100_000)
        await peer.expect("close", "b", problem="protocol-error")


@pytest.mark.parametrize("wrong", ["after done", "too large", "no JSON", "not a helper's"])
async def test_what_cannot_be_sent(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def handler(channel: Channel) -> None:
        if wrong == "after done":
            await channel.done()
            await channel.done()
            await channel.send(b"x")
        elif wrong == "too large":
            await channel.send(b"x" * 996)
        elif wrong == "not a helper's":
            for command in ("open", "kill", "init", "options", "done"):
                with pytest.raises(ValueError, match=f"{command}: not sent"):
                    await channel.control(command)
            await channel.control("close")
        else:
            await channel.send_json(object())

    async with helping(handler, frame_bytes=997) as peer:
        peer.open()
        if wrong == "after done":
            await peer.expect("done", "a")
        await peer.expect("close", "a", problem="internal-error")
    told = {"after done": "data after done()", "too large": "expected at most 995", "no JSON": "object"}
    told["not a helper's"] = "close: not sent with control()"
    assert told[wrong] in capsys.readouterr().err


async def test_every_kind_of_bytes_can_be_sent() -> None:
    async def handler(channel: Channel) -> None:
        for data in (b"1", bytearray(b"2"), memoryview(b"345")[1:2], memoryview(bytes(8)).cast("Q"), "ż"):
            await channel.send(data)

    async with helping(handler) as peer:
        peer.open()
        assert [await peer.data("a") for _ in range(5)] == [b"1", b"2", b"4", bytes(8), "ż".encode()]


async def test_what_is_for_nobody_is_ignored() -> None:
    async with helping(echo) as peer:
        peer.send("a", b"nobody's")
        for command in ("close", "done", "options", "ping", "pong"):
            peer.control(command, "a")
        for command in ("kill", "made-up", "authorize", "init", "hint"):
            peer.control(command, version=2)
        peer.control("kill", "a")
        peer.open()
        await peer.expect("ready", "a")


async def test_the_end_of_stdin_is_the_end_of_the_data() -> None:
    async with helping(echo) as peer:
        peer.open()
        peer.send("a", b"last")
        peer.hang_up()
        await peer.expect("ready", "a")
        assert await peer.data("a") == b"last"
        await peer.expect("done", "a")
        await peer.expect("close", "a")


async def test_handlers_that_go_on_after_the_end_are_cancelled() -> None:
    async def handler(channel: Channel) -> None:
        await channel.ready()
        await anyio.sleep_forever()

    async with helping(handler, end_seconds=0.01) as peer:
        peer.open()
        await peer.expect("ready", "a")
        peer.hang_up()
        await peer.expect("close", "a", problem="terminated", message="the helper has ended")


async def test_too_many_channels() -> None:
    async with helping(echo, channels=2) as peer:
        for channel in ("a", "b", "c"):
            peer.open(channel)
        told = []
        for _ in range(3):
            message = (await peer.next()).message
            told.append((message["command"], message["channel"], message.get("problem")))
        assert sorted(told) == [("close", "c", "too-large"), ("ready", "a", None), ("ready", "b", None)]
        peer.control("close", "a")
        await peer.expect("close", "a")
        peer.open("c")
        await peer.expect("ready", "c")


async def test_channels_can_be_had_one_by_one() -> None:
    wire = MemoryWire()
    peer = Peer(wire)
    peer.control("init", version=1, host="mine", superuser=False)
    peer.open("a")
    peer.open("b")
    seen: list[Any] = []
    async with open_helper(wire=wire, signals=(), some_member=1) as helper:
        assert helper.host == ""
        async for channel in helper:
            async with channel:
                seen.append((helper.host, channel.id))
                await channel.send(b"hello")
            if channel.id == "b":
                break
    assert seen == [("mine", "a"), ("mine", "b")]
    await peer.expect("init", version=1, some_member=1)
    assert [frame.channel for frame in wire.frames] == ["", "a", "", "b", ""]


async def test_stop_ends_all() -> None:
    wire = MemoryWire()
    peer = Peer(wire)
    peer.control("init", version=1, host="mine")
    peer.open("a")

    async def handler(channel: Channel) -> None:
        await channel.ready()
        await anyio.sleep_forever()

    async with open_helper(wire=wire, signals=()) as helper, anyio.create_task_group() as tasks:
        tasks.start_soon(helper.serve, handler)
        await peer.expect("init")
        await peer.expect("ready", "a")
        helper.stop("that is all")
        await peer.expect("close", "a", problem="terminated", message="that is all")
        peer.open("b")
        await peer.expect("close", "b", problem="terminated")


async def test_an_error_of_the_block_is_that_error() -> None:
    wire = MemoryWire()
    with pytest.raises(ZeroDivisionError):
        async with open_helper(wire=wire, signals=()):
            raise ZeroDivisionError
