"""Readings are shared between channels, and none is had twice."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from spanbridge.payloads.metrics import readings as module
from spanbridge.payloads.metrics.reader import Reader
from spanbridge.payloads.metrics.readings import Readings
from spanbridge.payloads.metrics.request import Request, request
from spanbridge.payloads.metrics.values import Sample

from ..bus.without_process import workbench

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Counting:
    """A sampler of one subject that gives its number of readings; it waits for `go_on` if there is one."""

    def __init__(self) -> None:
        self.asked: list[frozenset[str]] = []
        self.go_on: threading.Event | None = None
        self.at_once = 0

    def sample(self, names: frozenset[str]) -> Sample:
        self.asked.append(names)
        self.at_once += 1
        assert self.at_once == 1
        if self.go_on is not None:
            self.go_on.wait()
        self.at_once -= 1
        return {name: len(self.asked) for name in names}


@pytest.fixture
def samplers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counting]:
    made: dict[str, Counting] = {}

    def make(subject: str, reader: Reader) -> Counting:
        return made.setdefault(subject, Counting())

    monkeypatch.setattr(module, "sampler", make)
    return made


@pytest.fixture
async def readings(tmp_path: Path, samplers: dict[str, Counting]) -> AsyncIterator[Readings]:
    async with workbench(tmp_path) as bench:
        yield Readings(bench.services)


def asking(*names: str) -> Request:
    return request({"source": "internal", "metrics": [{"name": name} for name in names]})


async def values(readings: Readings, due: float, *names: str, before: Any = None) -> dict[str, Any]:
    taken, _ = await readings.take(asking(*names), due, before or {})
    return {name: each.measured for name, each in taken.items()}


async def test_samples_that_are_due_together_are_read_once(readings: Readings) -> None:
    assert await values(readings, 1.000, "memory.used") == {"memory.used": 1}
    assert await values(readings, 1.009, "memory.used") == {"memory.used": 1}
    assert await values(readings, 0.991, "memory.used") == {"memory.used": 1}
    assert await values(readings, 1.011, "memory.used") == {"memory.used": 2}


async def test_what_another_has_not_read_is_read(readings: Readings, samplers: dict[str, Counting]) -> None:
    await values(readings, 1.0, "cgroup.memory.usage")
    assert await values(readings, 1.0, "cgroup.memory.usage", "cgroup.memory.limit") == {
        "cgroup.memory.usage": 1,
        "cgroup.memory.limit": 2,
    }
    assert samplers["memory groups"].asked == [{"cgroup.memory.usage"}, {"cgroup.memory.limit"}]


async def test_a_channel_never_has_the_same_reading_twice(readings: Readings) -> None:
    taken, _ = await readings.take(asking("memory.used"), 1.000, {})
    assert await values(readings, 1.001, "memory.used", before=taken) == {"memory.used": 2}
    assert await values(readings, 1.001, "memory.used", before=taken) == {"memory.used": 2}


async def test_those_who_come_while_a_thread_reads_wait_for_it(
    readings: Readings, samplers: dict[str, Counting]
) -> None:
    await values(readings, 0.0, "mount.used")
    mounts = samplers["mounts"]
    mounts.go_on = threading.Event()
    found: list[dict[str, Any]] = []

    async def ask() -> None:
        found.append(await values(readings, 1.0, "mount.used"))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert await values(readings, 1.0, "memory.used") == {"memory.used": 1}  # others are not held up
        mounts.go_on.set()
    assert found == [{"mount.used": 2}] * 5


async def test_one_that_goes_away_leaves_the_others_their_reading(
    readings: Readings, samplers: dict[str, Counting]
) -> None:
    await values(readings, 0.0, "mount.used")
    mounts = samplers["mounts"]
    mounts.go_on = threading.Event()
    first = anyio.CancelScope()
    found: list[dict[str, Any]] = []

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await values(readings, 1.0, "mount.used"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        mounts.go_on.set()
    assert found == [{"mount.used": 3}]
