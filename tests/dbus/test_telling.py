"""Telling a watcher of what is known: payloads/bus/watches, cache and kept, with a connection that is not there."""

from collections.abc import Awaitable, Callable
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.cache import Cache
from spanbridge.payloads.bus.descriptions import Descriptions
from spanbridge.payloads.bus.errors import BusError
from spanbridge.payloads.bus.kept import Kept
from spanbridge.payloads.bus.lanes import Lanes
from spanbridge.payloads.bus.matches import Watch
from spanbridge.payloads.bus.message import Message
from spanbridge.payloads.bus.meta import PROPERTIES
from spanbridge.payloads.bus.signature import Variant
from spanbridge.payloads.bus.trees import Told, Trees
from spanbridge.payloads.bus.watches import Watches

pytestmark = pytest.mark.anyio

I = "com.example.I"  # noqa: E741


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Watcher:
    """Takes all that it is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def describe(self, *_: object) -> None: ...

    def notify(self, name: str | None, told: Told) -> None:
        self.told.append(told)

    async def turn(self) -> None: ...

    def refused(self, error: BusError) -> None:
        raise error


async def test_what_takes_many_turns_is_told_whatever_waits_for_it() -> None:
    """It waits for nobody: to give it up is no use."""
    trees, watcher, told = Trees(), Watcher(), anyio.Event()
    tree = trees.add(Watch(None, "/", None))
    paths = [f"/o{number}" for number in range(5)]
    async with anyio.create_task_group() as session:
        loop = SimpleNamespace(time=count().__next__)  # each turn is over as soon as it has begun
        services = SimpleNamespace(context=SimpleNamespace(loop=loop, limits=Limits(), log=Log()), tasks=session)
        kept = Kept(None, trees, cast(Any, SimpleNamespace(metas={})), cast(Any, services))
        for path in paths:
            kept.update(path, I, {})
        with anyio.CancelScope() as scope:
            scope.cancel()
            await kept.tell_tree(tree, watcher, told, kept.era)
    assert [list(each) for each in watcher.told] == [paths]
    assert told.is_set()


async def test_a_channel_that_ends_before_its_watch_begins_keeps_no_call_waiting() -> None:
    async with anyio.create_task_group() as session:
        context = SimpleNamespace(limits=Limits(), log=Log())
        place: Any = SimpleNamespace(
            front=None,
            services=SimpleNamespace(context=context, tasks=session),
            watching={},
            name_of=lambda *_: None,
            peer=lambda _: SimpleNamespace(cache=SimpleNamespace(unwatch=lambda *_: None)),
        )
        watches = Watches(place)
        watches.watch({"path": "/a"}, {"id": "w"})
        (over,) = place.watching[None]  # what a call waits for
        watches.end()
        await anyio.wait_all_tasks_blocked()
        assert over.is_set()
        assert place.watching == {None: []}


class Line:
    """A connection to a peer that has one object, and answers at once."""

    def __init__(self, session: TaskGroup) -> None:
        context = SimpleNamespace(loop=SimpleNamespace(time=lambda: 0.0), limits=Limits(), log=Log())
        self.services = SimpleNamespace(context=context, tasks=session)
        self.rules = SimpleNamespace(add=lambda *_: None, remove=lambda *_: None)

    async def ask_for(self, signature: str, message: Message) -> list[Any]:
        return [f'<node><interface name="{I}"><property name="N" type="u" access="read"/></interface></node>']

    def call(self, message: Message, answered: Callable[[Message], object], **_: object) -> int:
        answered(wire.reply(message, "a{sv}", [{"N": Variant("u", 1)}]))
        return 1

    async def wait_for(self, heeded: anyio.Event, serial: int) -> None:
        await heeded.wait()

    def forget(self, serial: int) -> None: ...

    def in_order(self, peer: str | None, job: Callable[[], Awaitable[None]]) -> None:
        self.services.tasks.start_soon(job)


async def test_a_watch_that_is_taken_back_while_it_is_to_be_told_again() -> None:
    """Another one watches, too: that one alone is told of what changes then."""
    watch, one, other = Watch("/a", None, None), Watcher(), Watcher()
    async with anyio.create_task_group() as session:
        line: Any = Line(session)
        cache = Cache(line, None, Descriptions(line, None, Log(), lambda: 0.0, 1 << 20))
        await cache.watch(watch, one)
        await cache.watch(watch, other)
        session.start_soon(cache.watch, watch, other)
        await anyio.lowlevel.checkpoint()
        cache.unwatch(watch, other)
        await anyio.wait_all_tasks_blocked()
        changed = wire.signal("/a", PROPERTIES, "PropertiesChanged", "sa{sv}as", [I, {"N": Variant("u", 2)}, []])
        assert cache.heed(changed) is None
    assert one.told == [{"/a": {I: b'{"N":1}'}}, {"/a": {I: b'{"N":2}'}}]
    assert other.told == [{"/a": {I: b'{"N":1}'}}]


async def test_no_more_wait_than_may() -> None:
    """All that each have so many behind them are given up, and not only the first: each may wait for long."""
    given_up: list[int] = []
    context = SimpleNamespace(loop=SimpleNamespace(time=lambda: 0.0), limits=Limits(dbus_waiting=2), log=Log())

    async def wait(number: int) -> None:
        await anyio.Event().wait()

    def fail(error: Exception) -> None:
        raise error

    async def until_given_up(count: int) -> None:
        with anyio.fail_after(10):
            while len(given_up) < count:
                await anyio.lowlevel.checkpoint()
        assert given_up == list(range(count))

    async with anyio.create_task_group() as session:
        lanes = Lanes(session, cast(Any, context), fail, given_up.append)
        for number in range(8):
            lanes.put("peer", wait, number)
        await until_given_up(6)
        lanes.put("peer", wait, 8)
        await until_given_up(7)
        session.cancel_scope.cancel()


class Source:
    """Says whether it is read."""

    def __init__(self) -> None:
        self.held = False

    def hold(self, who: object) -> None:
        self.held = True

    def release(self, who: object) -> None:
        self.held = False


async def test_no_more_bytes_wait_than_may() -> None:
    """Of what waits for somebody else, that which most waits for is given up; what is at work is waited for."""
    given_up: list[str] = []
    limits = Limits(dbus_waiting_bytes=10_000)
    context = SimpleNamespace(loop=SimpleNamespace(time=lambda: 0.0), limits=limits, log=Log())
    source, at_work = Source(), anyio.Event()

    async def wait(name: str) -> None:
        await anyio.Event().wait()

    async def work(name: str) -> None:
        with anyio.CancelScope(shield=True):
            await at_work.wait()

    def fail(error: Exception) -> None:
        raise error

    def heeded(message: Message) -> None:
        assert message.member == "Said"

    async def until_released() -> None:
        with anyio.fail_after(10):
            while source.held:
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as session:
        lanes = Lanes(session, cast(Any, context), fail, given_up.append, source)
        for name, job in (("waits", wait), ("works", work), ("less", wait)):
            lanes.put(name, job, name)
        small, large = (wire.signal("/", "a.b", "Said", "s", ["x" * length]) for length in (1, 6_000))
        lanes.put("less", heeded, small)
        lanes.put("waits", heeded, large)
        states = [source.held]
        for _ in range(2):
            lanes.put("works", heeded, small)
        states.append(source.held)
        await until_released()
        for _ in range(2):
            lanes.put("works", heeded, large)
        await anyio.wait_all_tasks_blocked()
        states.append(source.held)
        at_work.set()
        await until_released()
        session.cancel_scope.cancel()
    assert given_up == ["waits"]
    assert states == [False, True, True]


class Answering(Line):
    """A peer with an object manager, whose answer comes when the test says so; each turn is over at once."""

    def __init__(self, session: TaskGroup) -> None:
        super().__init__(session)
        self.services.context.loop.time = count().__next__
        self.heed: Callable[[list[str]], Awaitable[None]]

    def call(self, message: Message, answered: Callable[[Message], object], **_: object) -> int:
        def heed(paths: list[str]) -> Awaitable[None]:
            objects = {path: {I: {"N": Variant("u", 1)}} for path in paths}
            return cast(Awaitable[None], answered(wire.reply(message, "a{oa{sa{sv}}}", [objects])))

        if message.member == "GetManagedObjects":
            self.heed = heed
        else:
            super().call(message, answered)
        return 1


@pytest.mark.parametrize("others", [[], [Watch("/elsewhere", None, None)]], ids=["the last", "not the last"])
async def test_what_is_read_on_for_a_watch_that_was_taken_back(others: list[Watch]) -> None:
    """It is not kept: who watches again later is told of what there is then, and of nothing that has gone meanwhile."""
    watch, watcher = Watch(None, "/", None), Watcher()

    async def heed(paths: list[str]) -> None:
        await line.heed(paths)

    async with anyio.create_task_group() as session:
        line = Answering(session)
        cache = Cache(cast(Any, line), None, Descriptions(cast(Any, line), None, Log(), lambda: 0.0, 1 << 20))
        for other in others:
            await cache.watch(other, Watcher())
        session.start_soon(cache.watch, watch, watcher)
        await anyio.wait_all_tasks_blocked()
        session.start_soon(heed, [f"/o{number}" for number in range(100)])
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        cache.unwatch(watch, watcher)
        await anyio.wait_all_tasks_blocked()
        session.start_soon(cache.watch, watch, watcher)
        await anyio.wait_all_tasks_blocked()
        session.start_soon(heed, ["/new"])
        await anyio.wait_all_tasks_blocked()
    assert [path for told in watcher.told for path in told if path.startswith("/o")] == []
    assert "/new" in {path for told in watcher.told for path in told}
