"""`/machines`: the machines that the front end knows of."""

from typing import Any, Final

import anyio
from anyio import to_thread

from spanbridge.manifests.member import describe

from ...watcher import CannotWatch, open_watcher
from ..base import Services
from ..session_inotify import inotify_of
from .bus import Outlet
from .cockpit_conf import config_directories
from .errors import ACCESS_DENIED, FAILED, INVALID_ARGS, BusError
from .interface import method, readable
from .machine_files import (
    PLACE,
    FileError,
    Hosts,
    Value,
    has_place,
    is_machine_file,
    read_machines,
    update_machine,
)
from .signature import Variant

_SIGNATURES: Final[dict[type, str]] = {bool: "b", int: "x", float: "d", str: "s"}


class Machines:
    """`cockpit.Machines`."""

    interface = "cockpit.Machines"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._services = services
        self._outlet = outlet
        self._log = services.context.log
        self._directory = f"{config_directories(services.environ)[0]}/cockpit/machines.d"
        self._told: frozenset[str] = frozenset()  # what was wrong when the files were last read
        self._writing = anyio.Lock()
        self._watched = False
        self._hosts = self._read()
        services.tasks.start_soon(self._follow)

    @readable("Machines", "a{sa{sv}}")
    def machines(self) -> dict[str, dict[str, Variant]]:
        if not self._watched:
            self._hosts = self._read()
        return {
            host: {name: Variant(_SIGNATURES[type(value)], value) for name, value in properties.items()}
            for host, properties in self._hosts.items()
        }

    @method("Update", "s file, s host, a{sv} properties")
    async def update(self, file: str, host: str, properties: dict[str, Variant]) -> None:
        """Set properties of a host in one of the files. It is done also if nobody waits for it any more."""
        plain = {name: _plain(name, each) for name, each in properties.items()}
        with anyio.CancelScope(shield=True):
            async with self._writing:
                await self._write(file, host, plain)
            self._refresh()

    async def _write(self, file: str, host: str, properties: dict[str, Value]) -> None:
        try:
            await to_thread.run_sync(update_machine, self._directory, file, host, properties)
        except ValueError as error:
            raise BusError(INVALID_ARGS, str(error)) from None
        except FileError as error:
            raise BusError(ACCESS_DENIED if error.denied else FAILED, str(error)) from None

    async def _follow(self) -> None:
        try:
            watcher = await open_watcher(inotify_of(self._services))
        except CannotWatch as error:
            self._log.warning("machines", why=str(error))
            return
        with watcher:
            while True:
                watcher.cover({self._directory: is_machine_file})
                self._watched = True
                self._refresh()
                await watcher.changed()
                await self._services.front_drained()  # changes while it is stuck are one change

    def _refresh(self) -> None:
        before, self._hosts = self._hosts, self._read()
        if self._hosts != before:
            self._outlet.changed("Machines")

    def _read(self) -> Hosts:
        found: list[str] = []
        hosts = read_machines(self._directory, found.append)
        for defect in dict.fromkeys(found):
            if defect not in self._told:
                self._log.warning("machines", defect=defect)
        self._told = frozenset(found)
        return hosts


def _plain(name: str, variant: Variant) -> Value:
    value: Any = variant.value
    if isinstance(value, Value):
        if not has_place(value):  # a `t` may be larger than what is told of
            raise BusError(INVALID_ARGS, f"property {name}: found {describe(value)}, expected {PLACE}")
        return value
    raise BusError(
        INVALID_ARGS, f"property {name}: found the type {variant.signature}, expected a string, number or boolean"
    )
