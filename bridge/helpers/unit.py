"""One helper that systemd starts as root, as a unit of its own (docs/superuser.md, "Without sudo").

To the helper that it is for it is what a process is (process.py): descriptors, an end, ways to bring that about. It is
no child of ours, and no signal reaches it: it ends with its stdin, or because systemd is told to stop it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Any, Final

import anyio
from anyio import CancelScope

from spanbridge.protocol.problems import Problem

from ..payloads.base import Services
from ..payloads.bus.addresses import address_of
from ..payloads.bus.connecting import connect
from ..payloads.bus.connection import Connection
from ..payloads.bus.errors import TIMED_OUT, BusError
from ..payloads.bus.match_rule import signals_of
from ..payloads.bus.message import INTERACTIVE, Message, call
from ..payloads.bus.signature import Variant
from ..wire.find_program import find_program
from .launch import Launch
from .process import SpawnError, socket_pair
from .systemd import MANAGER, NAME, PATH

_NO_SUCH_UNIT: Final = "org.freedesktop.systemd1.NoSuchUnit"
_DONE: Final = "done"


class Unit:
    """As Process: `exited` is set, and `on_exit` called, when it has ended. The descriptors belong to the caller."""

    pid = 0  # it is systemd's child
    status = 0

    def __init__(self, services: Services, launch: Launch, on_exit: Callable[[], None]) -> None:
        """Begin to start it. Raises SpawnError."""
        argv, directory = launch.key[1].argv, launch.key[1].directory
        program = find_program(argv[0], launch.environ, directory)
        if program is None:
            raise SpawnError(f"{argv[0]}: No such file or directory")
        # Bridges in several namespaces of processes may have one number, and one systemd.
        self.name = f"spanbridge-superuser-{os.getpid()}-{os.urandom(8).hex()}.service"
        self.exited = asyncio.Event()
        self.end = "still running"
        self.begun = False
        self._was_started = False  # its first job is done: others are no more about whether it could be
        self.on_begun: Callable[[], object] = bool
        self._services = services
        self._launch = launch
        self._program = os.path.abspath(os.path.join(directory or "", program))
        self._on_exit = on_exit
        self._connection: Connection | None = None
        self._systemd: str | None = None  # its unique name
        self._scope = CancelScope()
        fds: list[int] = []
        try:
            fds += socket_pair()
            fds += os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            for fd in fds:
                os.close(fd)
            raise SpawnError(f"{argv[0]}: {error.strerror}") from None
        child_in, self.stdin, self.stdout, child_out, self.stderr, child_err = fds
        for fd in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(fd, False)
        self._given = [child_in, child_out, child_err]
        services.tasks.start_soon(self._run)

    # Its life

    async def _run(self) -> None:
        with self._scope:
            try:
                await self._start()
            except BusError as error:
                self._fail(error.message)
            except Problem as problem:
                self._fail(problem.message)
            except OSError as error:  # no descriptor is left for those that it is to have
                self._fail(error.strerror or str(error))
            except Exception as error:  # noqa: BLE001 - a mistake of ours: it costs this helper, not the session
                self._services.context.log.unforeseen(f"unit {self.name}", error)
                self._fail("a mistake within the bridge")
            finally:
                self._close_given()
                if self.exited.is_set():
                    self.abandon()  # who stopped it may have seen no connection yet

    async def _start(self) -> None:
        """Have systemd start it. Raises BusError, Problem."""
        services = self._services
        address = address_of("system", services.environ)
        connection = self._connection = await connect(address, services, name="the system bus", is_bus=True)
        connection.listeners[self] = None
        connection.owners.track(NAME, self._owner_changed)
        for member in ("UnitRemoved", "JobRemoved"):
            connection.rules.add(signals_of(NAME, path=PATH, interface=MANAGER, member=member), self._refused)
        await connection.ask(call(PATH, MANAGER, "Subscribe", destination=NAME))
        asked = call(
            PATH,
            MANAGER,
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            [self.name, "fail", self._properties(), []],
            destination=NAME,
            flags=INTERACTIVE,
            fds=self._given,
        )
        await self._ask_patiently(connection, asked)
        self.begun = True
        self.on_begun()

    async def _ask_patiently(self, connection: Connection, asked: Message) -> None:
        """Raises BusError, Problem."""
        seconds = self._services.context.limits.systemd_seconds
        with anyio.move_on_after(seconds):
            await connection.ask(asked, seconds=inf)
            return
        self._services.context.log.limit("systemd_seconds", seconds, unit=self.name)
        raise BusError(TIMED_OUT, f"systemd did not start {self.name} within {seconds:g} s (systemd_seconds)")

    def _properties(self) -> list[tuple[str, Variant]]:
        expansion = self._launch.key[1]
        environ = [f"{name}={value}" for name, value in expansion.environ]
        directory = (
            [("WorkingDirectory", Variant("s", os.path.abspath(expansion.directory)))] if expansion.directory else []
        )
        return [
            ("Description", Variant("s", f"Privileged bridge of {self._launch.rule.name}")),
            ("Type", Variant("s", "exec")),
            ("User", Variant("s", "root")),
            ("CollectMode", Variant("s", "inactive-or-failed")),
            ("ExecStart", Variant("a(sasb)", [(self._program, list(expansion.argv), False)])),
            ("Environment", Variant("as", environ)),
            ("StandardInputFileDescriptor", Variant("h", 0)),
            ("StandardOutputFileDescriptor", Variant("h", 1)),
            ("StandardErrorFileDescriptor", Variant("h", 2)),
            *directory,
        ]

    def _fail(self, words: str) -> None:
        """It does not come up. What systemd says of that is told as what others say on their stderr."""
        if not self.exited.is_set():
            os.write(self._given[2], words.encode()[:4_000] + b"\n")
            self._over(words)

    def _close_given(self) -> None:
        for fd in self._given:
            os.close(fd)
        self._given = []

    def _over(self, how: str) -> None:
        if not self.exited.is_set():
            self.end = how
            self.exited.set()
            self._services.context.loop.call_soon(self._on_exit)

    # What systemd says

    def signalled(self, message: Message, names: list[str]) -> Awaitable[None] | None:
        connection = self._connection
        if connection is not None and message.interface == MANAGER and message.signature in ("so", "uoss"):
            values: list[Any] = message.values()
            if message.member == "UnitRemoved" and values[0] == self.name:
                return self._look(connection)
            if message.member == "JobRemoved" and values[2] == self.name and not self._was_started:
                self._was_started = values[3] == _DONE
                if not self._was_started:
                    # Not only `failed`: others may take the job back, or it takes too long.
                    self._over(f"systemd: the unit could not be started ({values[3]})")
        return None

    async def _look(self, connection: Connection) -> None:
        """Whether the unit has ended: systemd says, too, that all are removed when it reads them anew."""
        try:
            await connection.ask(call(PATH, MANAGER, "GetUnit", "s", [self.name], destination=NAME))
        except BusError as error:
            if error.name == _NO_SUCH_UNIT:  # else systemd is away: it is asked again once it is there
                self._over("the unit has ended")
        except Problem:
            return  # the bus is gone: `lost`

    def lost(self, problem: Problem) -> None:
        """The bus is gone. The helper is not: it goes on, and ends with its stdin."""

    def _refused(self, error: BusError) -> None:
        self._services.context.log.warning("unit", why=error.message)

    def _owner_changed(self, name: str, owner: str | None) -> None:
        """systemd may have begun anew (`systemctl daemon-reexec`): its units stay."""
        if self._systemd is not None and owner not in (None, self._systemd):
            self._services.tasks.start_soon(self._begin_anew)
        self._systemd = owner or self._systemd

    async def _begin_anew(self) -> None:
        connection = self._connection
        if connection is None or self.exited.is_set():
            return
        with suppress(BusError, Problem):  # it has not forgotten, or is gone once more
            await connection.ask(call(PATH, MANAGER, "Subscribe", destination=NAME))
        await self._look(connection)

    # The end, as Process has it

    async def stop(self, seconds: float) -> bool:
        """Have systemd stop it; whether it has ended after so many seconds."""
        if self.exited.is_set():
            return True
        self._scope.cancel()  # it may still be asked for
        connection = self._connection
        if connection is None or (connection.problem is not None and not self.begun):
            self._over("it was not started")
            return True
        with anyio.move_on_after(seconds):
            try:
                await connection.ask(call(PATH, MANAGER, "StopUnit", "ss", [self.name, "fail"], destination=NAME))
            except BusError as error:
                if error.name != _NO_SUCH_UNIT:  # it may not be stopped by us, say
                    self._services.context.log.warning("unit", name=self.name, why=error.message)
                    return False
                self._over(error.message)
            except Problem:
                return False
            await self.exited.wait()
        return self.exited.is_set()

    async def kill(self, seconds: float) -> bool:
        """systemd does that by itself."""
        return self.exited.is_set()

    def signal_group(self, number: int) -> bool:
        """No signal of ours reaches it."""
        return False

    async def end_group(self, seconds: float) -> None:
        """Whatever it has started ends with the unit."""
        self.abandon()

    def abandon(self) -> None:
        """Watch it no more."""
        if self._connection is not None:
            self._connection.close()
