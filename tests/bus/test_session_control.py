"""Payload `session-control` (docs/internal-bus.md, "session-control").

The clock is the event loop's. These loops have one that does not run: where the loop would wait for a timer, it is that
time at once.
"""

import asyncio
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from spanbridge.payloads.bus.cockpit_conf import CockpitConf
from spanbridge.payloads.session_control import session_control
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .without_process import Opened, Workbench, workbench


class NoWait(selectors.EpollSelector):
    """Passes what would have been waited for on to the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(None if timeout is None else 0)
        if not found and timeout is not None:
            self.now += max(0, timeout)
        return found


class StoppedClock(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = NoWait()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Callable[[], Any]]]:
    return "asyncio", {"loop_factory": StoppedClock}


def configure(root: Path, minutes: object) -> None:
    conf = root / "etc/cockpit/cockpit.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(f"[Session]\nIdleTimeout = {minutes}\n")


def open_channel(bench: Workbench, name: str = "control") -> Opened:
    return bench.open(session_control, name)


def told_since_ready(channel: Opened) -> list[dict[str, Any]]:
    assert channel.controls[0]["command"] == "ready"
    return channel.controls[1:]


COUNTERS = [{"command": "countdown", "counter": 30 - second} for second in range(30)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("minutes", "seconds"), [(1, 60), (240, 14_400), (1_000, 14_400), (0, 0), ("x", 0), ("-1", 0), ("", 0)]
)
async def test_ready_tells_the_timeout_in_seconds(tmp_path: Path, minutes: object, seconds: int) -> None:
    configure(tmp_path, minutes)
    async with workbench(tmp_path) as bench:
        assert open_channel(bench).controls == [{"command": "ready", "timeout": seconds}]


@pytest.mark.anyio
async def test_nobody_does_anything(tmp_path: Path) -> None:
    configure(tmp_path, 2)
    async with workbench(tmp_path) as bench:
        channels = [open_channel(bench, name) for name in "ab"]
        await anyio.sleep(89.5)
        assert [told_since_ready(channel) for channel in channels] == [[], []]
        await anyio.sleep(30)
        assert [told_since_ready(channel) for channel in channels] == [COUNTERS] * 2
        await anyio.sleep(1)
        assert [told_since_ready(channel) for channel in channels] == [[*COUNTERS, {"command": "logout"}]] * 2
        assert bench.ended == []
        await anyio.sleep(10)
        assert bench.ended == ["nobody used it for 120 s"]


@pytest.mark.anyio
async def test_active_on_any_channel_starts_it_afresh(tmp_path: Path) -> None:
    configure(tmp_path, 1)
    async with workbench(tmp_path) as bench:
        one, other = open_channel(bench, "one"), open_channel(bench, "other")
        for _ in range(20):
            await anyio.sleep(29)
            one.command("active")
        assert told_since_ready(other) == []
        await anyio.sleep(32.5)
        assert told_since_ready(one) == told_since_ready(other) == COUNTERS[:3]
        other.command("active")
        await anyio.sleep(29)
        assert told_since_ready(one) == COUNTERS[:3]
        await anyio.sleep(32)
        assert told_since_ready(one) == [*COUNTERS[:3], *COUNTERS, {"command": "logout"}]


@pytest.mark.anyio
async def test_without_a_channel_nothing_is_counted(tmp_path: Path) -> None:
    configure(tmp_path, 1)
    async with workbench(tmp_path) as bench:
        one, other = open_channel(bench, "one"), open_channel(bench, "other")
        await anyio.sleep(40)
        one.end({"command": "close"})
        await anyio.sleep(10.5)
        other.end({"command": "close"})
        await anyio.sleep(80_000)
        assert bench.ended == []
        assert len(told_since_ready(other)) == 21
        late = open_channel(bench, "late")
        await anyio.sleep(59.5)
        assert told_since_ready(late) == COUNTERS


@pytest.mark.anyio
async def test_the_configuration_counts_as_it_is_when_counting_begins(tmp_path: Path) -> None:
    configure(tmp_path, 1)
    async with workbench(tmp_path) as bench:
        first = open_channel(bench, "first")
        configure(tmp_path, 3)
        bench.services.once(CockpitConf).reload()
        second = open_channel(bench, "second")
        assert second.controls == [{"command": "ready", "timeout": 60}]
        for each in (first, second):
            each.end({"command": "close"})
        assert open_channel(bench, "third").controls == [{"command": "ready", "timeout": 180}]


@pytest.mark.anyio
async def test_once_it_is_over_it_is_over(tmp_path: Path) -> None:
    configure(tmp_path, 1)
    async with workbench(tmp_path) as bench:
        channel = open_channel(bench)
        await anyio.sleep(61)
        channel.command("active")
        late = open_channel(bench, "late")
        assert told_since_ready(late) == [{"command": "logout"}]
        for each in (channel, late):
            each.end({"command": "close"})
        await anyio.sleep(10)
        assert bench.ended == ["nobody used it for 60 s"]


@pytest.mark.anyio
async def test_what_means_nothing_here(tmp_path: Path) -> None:
    configure(tmp_path, 1)
    async with workbench(tmp_path) as bench:
        channel = open_channel(bench)
        await anyio.sleep(20)
        channel.say({"command": "active"})
        channel.command("done")
        channel.message({"command": "ping", "channel": "control", "cookie": 5})
        await anyio.sleep(10.5)
        assert told_since_ready(channel) == [{"command": "pong", "cookie": 5}, COUNTERS[0]]


def test_through_a_bridge(home: Home, start: Start) -> None:
    configure_in = home.config_dir / "cockpit"
    configure_in.mkdir()
    (configure_in / "cockpit.conf").write_text("[Session]\nIdleTimeout=15\n")
    front = start().front_end
    front.open("control", "session-control")
    assert front.expect("ready", "control") == {"command": "ready", "channel": "control", "timeout": 900}
    front.control("active", channel="control")
    front.round_trip("control")
    assert front.commands("control") == ["ready", "pong"]


def test_without_a_configuration_there_is_no_timeout(start: Start) -> None:
    front = start().front_end
    front.open("control", "session-control")
    assert front.expect("ready", "control")["timeout"] == 0
