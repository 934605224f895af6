"""One extension: which state it is in, and its process, which is started when it is needed."""

import asyncio
import math
import time
from collections.abc import Collection
from typing import Any, Final

from ..desk.desk import Client
from ..process.launcher import CannotStart
from ..process.process import Died, Process
from ..runner.task import Task
from ..sandbox.cage import Cage
from .on_disk import Found
from .opened_once import OpenedOnce
from .parts import Bench, Parts
from .settings import Setting

IDLE: Final = "idle"
STARTING: Final = "starting"
RUNNING: Final = "running"
FAILED: Final = "failed"
BROKEN: Final = "broken"
DISABLED: Final = "disabled"
NEEDS_CONSENT: Final = "needs-consent"

_NOT_NOW: Final = (BROKEN, DISABLED, NEEDS_CONSENT)
"""No process is to run in these."""


class Unavailable(Exception):
    """No process will serve the request now."""

    def __init__(self, status: int, code: str, message: str, retry: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry = None if retry is None else max(1, math.ceil(retry))
        """After how many seconds one might try again."""


class Extension:
    """Lives as long as something of its name is found."""

    def __init__(self, found: Found, parts: Parts, before: Collection[asyncio.Task[None]] = ()) -> None:
        """`before`: the ends of those of its name that were removed. It opens nothing until they are over."""
        self.found = found
        self.name = found.name
        self.error = found.broken
        self.restarts = 0
        self._parts = parts
        self._own_bench: OpenedOnce[Bench] = OpenedOnce(
            lambda: parts.open_desk(self.name), lambda bench: bench.desk.close(), before
        )
        self._process: Process | None = None
        self._clients: dict[Process, Client] = {}
        self._starting: asyncio.Task[Process] | None = None
        self._failures: list[float] = []
        self._rest = 0.0
        self._rests_until = 0.0
        self._started_once = False
        self._gone = False

    @property
    def setting(self) -> Setting:
        return self._parts.settings[self.name]

    @property
    def state(self) -> str:
        if self.found.broken:
            return BROKEN
        setting = self.setting
        if not setting.enabled:
            return DISABLED
        if not self.found.asks.within(setting.consent):
            return NEEDS_CONSENT
        if self._process is not None:
            return RUNNING
        if self._starting is not None:
            return STARTING
        return FAILED if self.error else IDLE

    @property
    def may_run(self) -> bool:
        """Whether nothing about it is broken, and the user wants it."""
        return self.state not in _NOT_NOW

    @property
    def process(self) -> Process | None:
        return self._process

    @property
    def processes(self) -> list[Process]:
        """All of them, those that end among them."""
        return list(self._clients)

    @property
    def bench(self) -> Bench | None:
        """Its thread, once it has one."""
        return self._own_bench.now

    async def open(self) -> Bench:
        """Its thread, started if there is none. Raises CannotStart, OSError."""
        return await self._own_bench.open()

    def told(self) -> dict[str, Any]:
        """As the list has it."""
        return {
            "name": self.name,
            "version": self.found.version,
            "state": self.state,
            "path": self.found.path,
            "pid": None if self._process is None else self._process.pid,
            "error": self.error or self._parts.settings.problem(self.name) or None,
            "restarts": self.restarts,
            "sandbox": self._parts.sandbox_of(self.found.asks),
            "asks": self.found.asks,
        }

    # Starting

    async def running(self) -> Process:
        """Its process, started if there is none. Raises Unavailable."""
        self._check()
        process = self._alive
        return await self._begin() if process is None else process

    def running_now(self) -> Process | None:
        """Its process; None: it is to be started first. Raises Unavailable."""
        self._check()
        return self._alive

    @property
    def _alive(self) -> Process | None:
        """Its process, unless that is as good as dead: until all is done that is due then, requests come."""
        process = self._process
        return None if process is None or process.is_ending else process

    def _check(self) -> None:
        if self._gone:
            raise Unavailable(404, "no-such-extension", f"the extension {self.name} was removed")
        state = self.state
        if state == BROKEN:
            raise Unavailable(503, "extension-failed", self.error, self._parts.limits.extension_backoff_most_seconds)
        if state == DISABLED:
            why = self._parts.settings.problem(self.name)
            raise Unavailable(503, "disabled", f"the extension {self.name} is disabled" + (f": {why}" if why else ""))
        if state == NEEDS_CONSENT:
            raise Unavailable(503, "needs-consent", f"the extension {self.name} asks for permissions first")
        if self._alive is not None or self._starting is not None:
            return
        rest = self._rests_until - time.monotonic()
        if rest > 0:
            raise Unavailable(503, "extension-failed", self.error, rest)

    async def _begin(self) -> Process:
        starting = self._starting
        if starting is None:
            starting = self._starting = asyncio.get_running_loop().create_task(self._start())
            starting.add_done_callback(self._began)
        await asyncio.wait([starting])  # who waits may leave; the start goes on for the others
        try:
            return starting.result()
        except (Died, CannotStart, OSError) as error:
            if self._gone or not self.may_run:
                self._check()
            raise Unavailable(503, "extension-failed", self.error or str(error), self._left_of_rest()) from None

    def _began(self, task: "asyncio.Task[Process]") -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # those who waited have been told

    def _left_of_rest(self) -> float:
        return max(self._rests_until - time.monotonic(), 1.0)

    async def _start(self) -> Process:
        while True:
            found = self.found
            try:
                process = await self._started(found)
            except (Died, CannotStart, OSError) as error:
                if self._is_late(found):
                    continue
                if not self._gone:
                    self._failed(str(error))
                raise
            if not self._is_late(found):
                break
            process.kill("replaced")
        if self._gone or not self.may_run:  # since it was begun
            process.kill("stopped")
            raise CannotStart("it was stopped while it started")
        self._failures.clear()
        self._rest = 0.0
        self.error = ""
        self._take_over(process)
        return process

    def _is_late(self, found: Found) -> bool:
        """Whether something else has come to lie on disk, which is to run in place of this."""
        return self.found is not found and self.found != found and not self._gone and self.may_run

    def _failed(self, why: str) -> None:
        self.error = why
        self._parts.log.error("extension-failed", extension=self.name, why=why)
        now, limits = time.monotonic(), self._parts.limits
        since = now - limits.extension_start_failures_seconds
        self._failures = [*[each for each in self._failures if each > since], now]
        if len(self._failures) >= limits.extension_start_failures or self._rest:
            self._rest = min(self._rest * 2 or limits.extension_backoff_seconds, limits.extension_backoff_most_seconds)
            self._rests_until = now + self._rest

    async def _started(self, found: Found) -> Process:
        """A process that is ready. Raises Died, CannotStart, OSError."""
        parts = self._parts
        if parts.abi == 0 and parts.limits.extension_sandbox == "required":
            raise CannotStart("the kernel has no Landlock, and extension_sandbox=required")
        desk = (await self.open()).desk
        process = Process(
            await self._task(found),
            parts.launcher,
            parts.poller,
            parts.flusher,
            parts.limits,
            parts.log,
            self._calls_waiting,
            self._call_ended,
            parts.stirred.set,
        )
        await process.start()
        if self._gone:  # and so is its thread, which would have closed this
            process.calls.close()
            process.kill("stopped")
            raise CannotStart("it was removed while it started")
        loop = asyncio.get_running_loop()

        def give_up(why: str) -> None:
            loop.call_soon_threadsafe(process.kill, why)

        def hung_up() -> None:
            loop.call_soon_threadsafe(process.expect_end)

        self._clients[process] = desk.attach(process.calls, process.user_of, give_up, hung_up)
        process.exited.add_done_callback(lambda future: self._exited(process, future.result()))
        if self._started_once:
            self.restarts += 1
        self._started_once = True
        seconds = parts.limits.extension_start_seconds
        # Not shield(): where the wait is given up, it has what comes of the future later taken for unforeseen.
        await asyncio.wait([process.ready], timeout=seconds)
        if not process.ready.done():
            parts.log.limit("extension_start_seconds", seconds, extension=self.name)
            process.kill("")
            raise Died(f"init has not returned after {seconds:g} s (extension_start_seconds)")
        process.ready.result()
        if process.exited.done():  # it was ready, and has ended since
            raise Died(process.why)
        parts.log.info("extension-started", extension=self.name, version=found.version, pid=process.pid)
        return process

    async def _task(self, found: Found) -> Task:
        parts = self._parts
        node = await parts.node() if found.language == "javascript" else None
        asks = found.asks
        cage = Cage(
            directory=found.real_path,
            files=parts.files_of(self.name),
            memory_bytes=parts.limits.extension_memory_bytes,
            descriptors=parts.limits.extension_descriptors,
            files_bytes=parts.limits.extension_files_bytes,
            network=asks.network,
            read=asks.read,
            write=asks.write,
            run=asks.run,
            program="" if node is None else node.path,
        )
        return Task(
            found.name,
            found.version,
            found.main,
            parts.limits.extension_message_bytes,
            cage,
            found.language,
            [] if node is None else node.arguments,
        )

    def _calls_waiting(self, process: Process) -> bool:
        client = self._clients.get(process)
        return client is not None and client.waiting > 0

    def _call_ended(self, process: Process, call: int) -> None:
        client, bench = self._clients.get(process), self._own_bench.now
        if client is not None and bench is not None:
            bench.desk.ended(client, call)

    def _exited(self, process: Process, why: str) -> None:
        client, bench = self._clients.pop(process), self._own_bench.now
        if bench is not None:
            bench.desk.detach(client)
        if self._process is process:
            self._process = None
            self._log_end(process, why)
            self.error = why

    def _log_end(self, process: Process, why: str) -> None:
        self._parts.log.warning("extension-ended", extension=self.name, pid=process.pid, why=why)

    # Changes

    async def use(self, found: Found) -> None:
        """Something else lies on disk now. If it runs, the new one takes over, unless it fails."""
        running, self.found = self._alive, found
        self._failures.clear()
        self._rest = self._rests_until = 0.0
        if found.broken:
            self.error = found.broken
            self.retire()
            return
        if running is None or self.state in (DISABLED, NEEDS_CONSENT):
            self.error = ""
            self.retire()
            return
        try:
            process = await self._started(found)
        except (Died, CannotStart, OSError) as error:
            self.error = f"the new version does not start, the old one serves on: {error}"
            self._parts.log.error("extension-not-reloaded", extension=self.name, why=str(error))
            return
        if self._gone or not self.may_run:  # since it was begun
            process.kill("stopped")
            return
        self.error = ""
        self._take_over(process)
        self._parts.log.info("extension-reloaded", extension=self.name, version=found.version)

    def _take_over(self, process: Process) -> None:
        """New requests go there from now on; whoever had them before answers what it has."""
        before, self._process = self._process, process
        if before is not None:
            self._drain(before)

    def retire(self) -> None:
        """No process serves it from now on; what runs may answer what it has."""
        running, self._process = self._process, None
        if running is not None:
            self._drain(running)

    def _drain(self, process: Process) -> None:
        if process.is_ending:  # by itself, or for what it did
            process.exited.add_done_callback(lambda future: self._log_end(process, future.result()))
            process.kill("it has closed its socket")
            return
        process.stop()
        seconds = self._parts.limits.extension_drain_seconds
        asyncio.get_running_loop().call_later(seconds, process.kill, "replaced")

    async def restart(self) -> None:
        """End it now; and start it. Raises Unavailable."""
        running, self._process = self._process, None
        if running is not None:
            running.kill("restarted")
        self._failures.clear()
        self._rest = self._rests_until = 0.0
        self.error = self.found.broken
        await self.running()

    async def finish(self) -> None:
        """It was removed: let its processes answer what they have, then close its databases."""
        self._gone = True
        self._own_bench.remove()
        self.retire()
        if self._starting is not None:
            await asyncio.wait([self._starting])
        for process in self.processes:
            await asyncio.wait([process.exited])
        await self._own_bench.finish()

    def stop(self) -> None:
        """End all that runs, now."""
        self._process = None
        for process in self.processes:
            process.kill("stopped")

    def close(self) -> None:
        """It is no more. Blocks for a moment."""
        self.stop()
        self._own_bench.close()
