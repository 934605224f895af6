"""Questions to a service: many at the same time, and such whose answers are heeded in the order in which it speaks."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from spanbridge.protocol.problems import Problem

from .message import Answered, Message


class Line(Protocol):
    """A connection, as far as these need it."""

    def call(
        self, message: Message, answered: Answered, /, *, in_order: bool, lost: Callable[[Problem], None]
    ) -> int: ...
    async def wait_for(self, heeded: anyio.Event, serial: int, /) -> None: ...
    def forget(self, serial: int, /) -> None: ...


async def each(visit: Callable[[str], Awaitable[object]], paths: list[str]) -> None:
    """Visit all of these at the same time. Raises Problem."""
    problems: list[Problem] = []

    async def one(path: str) -> None:
        try:
            await visit(path)
        except Problem as problem:
            problems.append(problem)

    async with anyio.create_task_group() as tasks:
        for path in paths:
            tasks.start_soon(one, path)
    if problems:
        raise problems[0]


async def ask_in_order(connection: Line, message: Message, take: Answered) -> None:
    """Ask, and have `take` heed the answer in the order in which the service speaks."""
    done = anyio.Event()
    lost: list[Problem] = []

    def heed(answer: Message) -> Awaitable[None] | None:
        waiting = None
        try:
            waiting = take(answer)
        finally:
            if waiting is None:
                done.set()
        return None if waiting is None else heed_on(waiting)

    async def heed_on(waiting: Awaitable[None]) -> None:
        try:
            await waiting
        finally:
            done.set()

    def gone(problem: Problem) -> None:
        lost.append(problem)
        done.set()

    serial = connection.call(message, heed, in_order=True, lost=gone)
    try:
        await connection.wait_for(done, serial)
    finally:
        connection.forget(serial)
    if lost:
        raise lost[0]
