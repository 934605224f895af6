"""What is asked waits while the answers to what was asked before do (docs/internal-bus.md, "Messages")."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from spanbridge.limits import Limits
from spanbridge.manifests.model import Catalog, Package
from spanbridge.payloads.dbus import dbus
from spanbridge.testing.frames import encode
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.processes import peak_bytes

from .client import PROPERTIES, BusClient
from .without_process import Opened, Workbench, workbench

GET: list[Any] = ["/packages", PROPERTIES, "Get", ["cockpit.Packages", "Manifests"]]
LARGE = 300_000


def with_a_large_manifest(bench: Workbench) -> Opened:
    manifest = {"label": "x" * LARGE}
    package = Package("large", "large", "/large", 1.0, manifest, (), False, ())
    bench.catalog = Catalog(packages=(package,))
    return bench.open(dbus, bus="internal")


def ask(channel: Opened, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        channel.say({"call": GET, "id": number})


def answered(channel: Opened) -> list[int]:
    return [message["id"] for message in channel.messages]


def problem(channel: Opened) -> Any:
    """What it was closed with; None while it is open."""
    return (channel.closed or {}).get("problem")


@pytest.mark.anyio
async def test_what_waits_is_answered_in_order(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = with_a_large_manifest(bench)
        bench.front_takes = anyio.Event()
        ask(channel, 8)
        channel.command("ping", cookie=1)
        ask(channel, 1, 8)
        await anyio.wait_all_tasks_blocked()
        assert answered(channel) == []
        assert len(channel.controls) == 1
        bench.front_takes.set()
        await channel.message_after(8)
        assert answered(channel) == list(range(9))
        assert [frame.channel for frame in channel.frames[-2:]] == ["", "test"]  # the pong stands where the ping did
        await anyio.wait_all_tasks_blocked()
        ask(channel, 1, 99)
        assert answered(channel)[-1] == 99


@pytest.mark.anyio
async def test_a_channel_that_closes_answers_no_more(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = with_a_large_manifest(bench)
        bench.front_takes = anyio.Event()
        ask(channel, 8)
        channel.end({"command": "close"})
        bench.front_takes.set()
        await anyio.wait_all_tasks_blocked()
        assert answered(channel) == []


@pytest.mark.anyio
async def test_a_message_that_is_none_closes_the_channel_when_its_turn_comes(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = with_a_large_manifest(bench)
        bench.front_takes = anyio.Event()
        ask(channel, 3)
        channel.say("nothing")
        ask(channel, 1, 99)
        assert problem(channel) is None
        bench.front_takes.set()
        await anyio.wait_all_tasks_blocked()
        assert problem(channel) == "protocol-error"
        assert answered(channel) == list(range(3))


@pytest.mark.anyio
async def test_only_so_much_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with workbench(tmp_path) as bench:
        channel = with_a_large_manifest(bench)
        bench.front_takes = anyio.Event()
        ask(channel, 1)
        piece = {"remove-match": {"path": "x" * 1_000_000}}
        for _ in range(Limits().bus_backlog_bytes // 1_000_100):
            channel.say(piece)
        assert problem(channel) is None
        channel.say(piece)
        assert problem(channel) == "internal-error"
    assert f"limit name=bus_backlog_bytes value={Limits().bus_backlog_bytes}" in capfd.readouterr().err


def test_many_small_calls_with_large_answers_do_not_fill_the_memory(home: Home, start: Start) -> None:
    home.package("large", label="x" * 500_000)
    bridge = start()
    front = bridge.front_end
    client = BusClient(front)
    client.call("/packages", *GET[1:3], *GET[3])
    before = peak_bytes(bridge.pid)
    calls = [json.dumps({"call": GET, "id": number}).encode() for number in range(120)]
    front.write(b"".join(encode("bus", call) for call in calls))  # one read for the bridge
    assert [client.next()["id"] for _ in calls] == list(range(len(calls)))
    assert peak_bytes(bridge.pid) - before < 24 << 20
