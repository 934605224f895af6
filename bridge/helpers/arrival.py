"""A helper that has a way (way.py) comes up: until its `init`, what is said and why it ends are for the way to read."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from spanbridge.protocol.problems import Problem

from .life import STARTING
from .process import Running
from .way import Command, Way


class Comer(Protocol):
    """The helper."""

    @property
    def state(self) -> str:
        """As in Life."""

    def start(self, command: Command, /) -> Running | None:
        """Its process; None: it has ended with that."""

    def end(self, problem: Problem, /, *, abandon: bool = False) -> None:
        """It takes nothing more. `abandon`: what it still says is of no interest."""


class Arrival:
    """`come_up` is to run until the `init` has come or the helper ends. `hear` is given what is the helper's own
    of what was read."""

    __slots__ = ("_arrived", "_hear", "_helper", "_over", "_speaks", "_way")

    def __init__(self, way: Way, helper: Comer, hear: Callable[[bytes], None]) -> None:
        self._way = way
        self._helper = helper
        self._hear = hear
        self._speaks = False  # what comes on its stdout is its own
        self._arrived = False
        self._over = asyncio.Event()

    async def come_up(self) -> None:
        """Where that fails, have the way say why."""
        helper, way = self._helper, self._way
        try:
            command = await way.prepare()
        except Problem as problem:
            helper.end(problem)
            return
        if helper.state != STARTING:  # it has ended in the turn in which that was done
            way.over()
            return
        process = helper.start(command)
        if process is not None:
            way.started(process.pid)
            await self._over.wait()
            if not self._arrived:
                helper.end(await way.failure(process.status))

    def arrived(self) -> None:
        """Its `init` has come."""
        self._arrived = True
        self._over.set()

    def exited(self) -> None:
        """It has exited before its `init`, and all that it had to say was read."""
        self._over.set()

    def chunk(self, chunk: bytes) -> None:
        """What was read: at first that may be of others."""
        if not self._speaks:
            try:
                rest = self._way.heard(chunk)
            except Problem as problem:
                self._helper.end(problem, abandon=True)
                return
            if rest is None:
                return
            self._speaks = True
            chunk = rest
        if chunk:
            self._hear(chunk)
