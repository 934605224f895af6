"""What all extensions of a host share."""

import asyncio
import concurrent.futures
import contextlib
import os
import re
import signal
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...limits import Limits
from ...payloads.connect.names import Resolver
from ...wire.flusher import Flusher
from ...wire.poller import Poller
from ..database.database import Database, bound_memory
from ..database.late import Watch
from ..desk.desk import Client, Desk, Operation
from ..desk.operations import checked, of_alerts, of_database, of_metrics
from ..host_log import HostLog
from ..inner.messages import Call
from ..places import PlaceError, Places, open_private
from ..process.launcher import CannotStart, Launcher
from ..sandbox.landlock import PORTS_SINCE, landlock_abi
from ..services.addresses import Allowed, networks
from ..services.alert_engine import AlertEngine, Change
from ..services.audit import Audit
from ..services.deliveries import Deliveries
from ..services.events import Events
from ..services.keeper import DatabaseFailed, naming
from ..services.metrics_history import MetricsHistory
from ..services.push import Push
from ..services.webhooks import Webhooks
from .permissions import Permissions
from .settings import Settings

_NODE_LEAST: Final = 18
_CONTACT: Final = "mailto:spanbridge@localhost"


class Node(NamedTuple):
    path: str
    arguments: list[str]


class Bench(NamedTuple):
    """The thread of an extension, and what is to be done in it alone."""

    desk: Desk
    database: Database
    alerts: AlertEngine


class Parts:
    """Made once by the host; `close` when no extension is left."""

    def __init__(
        self,
        places: Places,
        limits: Limits,
        environ: Mapping[str, str],
        log: HostLog,
        poller: Poller,
        flusher: Flusher,
    ) -> None:
        """Raises OSError, DatabaseFailed."""
        self.poller = poller
        self.flusher = flusher
        self._loop = asyncio.get_running_loop()
        self.stirred = asyncio.Event()
        """A process has begun, or has something to do after a rest."""
        self.alerts_defined = asyncio.Event()
        """There are alerts to be looked at."""
        self.places = places
        self.limits = limits
        self.log = log
        bound_memory(limits.extension_memory_bytes)
        self.late = Watch()
        self.abi = landlock_abi()
        self.launcher = Launcher(log)
        self.settings = Settings(places.state, log)
        self.events = Events(limits)
        self.audit = Audit(places.state, limits.extension_audit_bytes, log, limits.extension_busy_seconds)
        self.deliveries = Deliveries(places.state, limits, log)
        resolver = Resolver(self._loop, log, limits.lookups)
        allowed = Allowed(networks(limits.extension_delivery_allow), resolver.addresses)
        self.webhooks = Webhooks(self.deliveries, allowed, limits.extension_delivery_seconds)
        self.push = Push(places.state, self.deliveries, allowed, limits.extension_delivery_seconds, _CONTACT)
        self._environ = environ
        self._node: Node | None = None
        if not self.abi:
            log.warning("no-landlock", what="this kernel has no Landlock: extensions are held by seccomp alone")

    def close(self) -> None:
        self.launcher.close()
        self.audit.close()
        self.deliveries.close()
        self.late.close()

    async def audited(self, written: "concurrent.futures.Future[int]") -> int:
        """The number of an entry, once it is on disk."""
        return await asyncio.wrap_future(written)

    def sandbox_of(self, asks: Permissions) -> str:
        """What holds an extension, in a word or two."""
        if not self.abi:
            return "none"
        if asks.network and asks.network is not True and self.abi < PORTS_SINCE:
            return "landlock, all ports"
        return "landlock"

    def directory_of(self, name: str) -> str:
        """Where the data of an extension is. Raises CannotStart."""
        return _private(os.path.join(self.places.state, name))

    def files_of(self, name: str) -> str:
        """Raises CannotStart."""
        return os.path.realpath(_private(os.path.join(self.directory_of(name), "files")))

    def has_metrics(self, name: str) -> bool:
        """Whether it has ever recorded something, or defined an alert."""
        return os.path.exists(os.path.join(self.places.state, name, "metrics.db"))

    async def node(self) -> Node:
        """The program that runs JavaScript. Raises CannotStart."""
        if self._node is None:
            import shutil  # with what it imports a third of a MiB, for JavaScript alone

            path = shutil.which("node", path=self._environ.get("PATH", os.defpath))
            if path is None:
                raise CannotStart("there is no node in PATH, which runs JavaScript")
            path = _real(path)
            version = await self._version(path)
            if version < _NODE_LEAST:
                raise CannotStart(f"{path} is node {version}, expected {_NODE_LEAST} or newer")
            arguments = ["--experimental-global-webcrypto"] if version == _NODE_LEAST else []
            self._node = Node(path, [path, *arguments])
        return self._node

    async def _version(self, path: str) -> int:
        """The major version of node. Raises CannotStart, OSError."""
        seconds = self.limits.extension_node_seconds
        told = await _answer([path, "--version"], seconds)
        if told is None:
            self.log.limit("extension_node_seconds", seconds)
            raise CannotStart(f"{path} --version: no answer after {seconds:g} s (extension_node_seconds)")
        found = re.match(rb"v(\d+)\.", told)
        if found is None:
            shown = told.decode(errors="replace").strip()
            raise CannotStart(f"{path} --version: {shown!r}, expected a version such as v20.1.0")
        return int(found[1])

    def open_desk(self, name: str) -> "Bench":
        """The thread of an extension, with its databases open. Raises CannotStart, OSError."""
        limits = self.limits
        path = os.path.join(self.directory_of(name), "data.db")
        try:
            with naming(path):
                database = Database(
                    name,
                    path,
                    self.late,
                    most_bytes=limits.extension_database_bytes,
                    seconds=limits.extension_query_seconds,
                    busy_seconds=limits.extension_busy_seconds,
                    message_bytes=limits.extension_message_bytes,
                )
            with contextlib.ExitStack() as unless_whole:
                unless_whole.callback(database.close)
                history, alerts = self._history(name)
                unless_whole.pop_all()
        except DatabaseFailed as error:
            raise CannotStart(str(error)) from None
        desks: list[Desk] = []
        operations = {
            **of_database(database, lambda: desks[0]),
            **self._operations(name),
            **of_metrics(history),
            **of_alerts(alerts),
        }

        def undo() -> None:
            database.undo(False)

        def close() -> None:
            database.close()
            history.close()

        desk = Desk(
            name,
            operations,
            self.log,
            in_transaction=lambda: database.in_transaction,
            undo=undo,
            close=close,
            limits=limits,
        )
        desks.append(desk)
        return Bench(desk, database, alerts)

    def _history(self, name: str) -> tuple[MetricsHistory, AlertEngine]:
        """Raises DatabaseFailed, CannotStart, OSError."""
        path = os.path.join(self.directory_of(name), "metrics.db")

        def wrong(what: str) -> None:
            self.log.error("alerts", extension=name, what=what)

        limits = self.limits
        history = MetricsHistory(
            path, limits.extension_database_bytes, limits.extension_metrics, limits.extension_busy_seconds
        )

        def tell(change: Change) -> None:
            self._alert(name, change)

        def defined() -> None:
            self._loop.call_soon_threadsafe(self.alerts_defined.set)

        with contextlib.ExitStack() as unless_whole:
            unless_whole.callback(history.close)
            alerts = AlertEngine(history, tell, defined, limits.extension_alerts, wrong)
            unless_whole.pop_all()
        return history, alerts

    def _alert(self, name: str, change: Change) -> None:
        """Tell of an alert; from the thread of its desk. What cannot be told is logged. Raises DatabaseFailed: it
        is to be told once more, and so the event, which nobody can tell from the one before, comes last."""
        told = {"alert": change.name, "state": change.state, "value": change.value, "severity": change.severity}
        if not change.silenced and change.state in ("firing", "resolved"):
            self._deliver(name, change, told)
        self.events.broadcast(name, "alert", told)

    def _deliver(self, name: str, change: Change, told: dict[str, Any]) -> None:
        origin = f"{name} {change.name} {change.state} {change.since!r}"
        try:
            self.webhooks.fire(name, f"alert.{change.state}", told, origin)
            if change.severity == "critical":
                notification = {"title": f"{change.name}: {change.state}", "body": f"{name}: {change.value}"}
                self.push.send(name, notification, 86_400, "high", origin)
        except (RuntimeError, ValueError) as error:
            self.log.warning("alert-not-told", extension=name, alert=change.name, why=str(error))

    def _operations(self, name: str) -> dict[str, Operation]:
        def broadcast(client: Client, call: Call) -> None:
            self.events.broadcast(name, *checked(call, (str, Any)))

        def write(client: Client, call: Call) -> int:
            action, kind, ident, details = checked(call, (str, str, str, Any))
            return self.audit.write(name, actor(client, call), action, kind, ident, details).result()

        def entries(client: Client, call: Call) -> Any:
            return self.audit.entries(name, *checked(call, (int, int))).result()

        def fire(client: Client, call: Call) -> None:
            self.webhooks.fire(name, *checked(call, (str, Any)))

        def push(client: Client, call: Call) -> int:
            return self.push.send(name, *checked(call, (Any, int, str)))

        return {
            "broadcast": broadcast,
            "audit.write": write,
            "audit.list": entries,
            "webhooks.fire": fire,
            "push.send": push,
        }


def actor(client: Client, call: Call) -> dict[str, Any]:
    """Who is behind a call: the user whose request it serves, or the extension itself."""
    user = client.actor(call.call)
    return {"name": "extension"} if user is None else {"name": user[0], "uid": user[1]}


def _private(path: str) -> str:
    """The directory, which is made if it is missing. Raises CannotStart."""
    try:
        os.close(open_private(path))
    except PlaceError as error:
        raise CannotStart(str(error)) from None
    return path


def _real(path: str) -> str:
    return os.path.realpath(path)


async def _answer(command: list[str], seconds: float) -> bytes | None:
    """The beginning of what it prints; None if it has not ended within `seconds`. Raises OSError."""
    # No pipe: one is waited for until nobody holds it, and the program may be a script that starts another one.
    output = os.memfd_create("answer")
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, start_new_session=True
        )
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return os.pread(output, 100, 0)
    finally:
        os.close(output)
