"""One front end, from its `init` to the last helper reaped.

The way of a byte: `_chunk` has the splitter cut what was read into spans, and hands each to the sink that has the
channel (channels.py): a helper puts it in its outbox (helper.py, writer.py). What a helper says takes the same way from
`Dialogue.chunk` to the front end's outbox (front.py).
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
from anyio import CancelScope
from anyio.abc import TaskGroup

from spanbridge.manifests.model import Catalog
from spanbridge.protocol.control import FOR_THE_TRANSPORT, VERSION, control, pong, read_message
from spanbridge.protocol.frames import control_payload
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, TERMINATED, Problem
from spanbridge.protocol.splitter import CONTROL, UNROUTED, FrameError, Splitter

from ..catalog import tell_defects
from ..helpers.helper import Helper
from ..helpers.life import GONE
from ..helpers.superuser import Superuser
from ..limits import Limits
from ..log import Log
from ..payloads.base import Services
from ..wire.agent import Agent
from ..wire.children import Children
from ..wire.context import Context
from ..wire.flusher import Flusher
from ..wire.front import Front
from ..wire.heeded_signals import heeded_signals
from ..wire.link import REST_BYTES
from ..wire.pipe_budget import PipeBudget
from ..wire.poller import Poller
from ..wire.secret_chunks import SecretChunks
from ..wire.watchdog import Watchdog
from .channels import Channels
from .sinks import Sink
from .status_directory import directory_of
from .status_socket import StatusSocket

if TYPE_CHECKING:
    from ..helpers.hosts.hosts import Hosts

_ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # a session process is hung up on: HUP does not reload
RELOAD_ON_CHANGE: Final = "SPANBRIDGE_RELOAD_ON_CHANGE"
_RELOAD: Final = signal.SIGUSR1


class Session:
    """Serves the front end on two descriptors. `run` is its whole life.

    It has many attributes, since here the parts of a session meet: most are what it was given, or parts that `run`
    makes and joins. Of its own it keeps the rules in force, and whether and how it ends.
    """

    def __init__(
        self,
        *,
        load: Callable[[], Catalog],
        limits: Limits,
        log: Log,
        environ: Mapping[str, str],
        depth: int,
        root: bool,
        user: str,
        status: bool = False,
        reload_first: Callable[[], bool] = bool,
        at_the_end: Callable[[], object] = bool,
    ) -> None:
        """`root`: it has all privileges, there are none to gain. `user`: the name to ask a password of.
        `status`: it answers `spanbridge status`, and has an ssh-agent.
        `reload_first`: whether SIGUSR1 came before the session could heed it. `at_the_end` is called when
        all is over and signals are still heeded."""
        self._load = load
        self._limits = limits
        self._log = log
        self._environ = dict(environ)
        self._depth = depth
        self._root = root
        self._user = user
        self._tells_status = status
        self._reload_first = reload_first
        self._at_the_end = at_the_end
        self._status = 0
        self._ending = False
        self._over = anyio.Event()
        self._began = time.monotonic()
        self._channels: Channels
        self._front: Front
        self._superuser: Superuser
        self._splitter: Splitter[Sink]
        self._secrets: SecretChunks
        self._services: Services
        self._catalog: Catalog
        self._hosts: Hosts | None = None

    async def run(self, catalog: Catalog, poller: Poller, in_fd: int, out_fd: int) -> int:
        """Serve until the front end goes away or a signal ends the session; the exit status."""
        self._catalog = catalog
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unforeseen)
        limits = self._limits
        budget = PipeBudget(limits.large_pipes, limits.pipe_bytes)
        watchdog = Watchdog(lambda why: self._log.warning("no-watchdog", why=why))
        seconds = limits.ssh_agent_seconds
        agent = Agent(self._log, watchdog, self._environ, seconds) if self._tells_status else None
        context = Context(loop, poller, Flusher(loop), budget, limits, self._log, watchdog, Children(loop))
        if agent is not None:
            context = context._replace(before_programs=agent.start)
        self._front = Front(context, in_fd, out_fd, on_chunk=self._chunk, on_end=self._ended, on_broken=self._broken)
        # Heeded before the first frame is read: whoever has seen an answer may send a signal.
        with heeded_signals(*_ENDS, _RELOAD) as signals:
            async with anyio.create_task_group() as tasks:
                services = Services(
                    context,
                    self._front,
                    tasks,
                    self._environ,
                    catalog=lambda: self._catalog,
                    reload=self._reload,
                    front_drained=self._front.drained,
                    end_session=self._end,
                )
                self._services = services
                channels = Channels(
                    context, self._front, tasks, catalog.rules, services, self._depth, self._connections
                )
                self._channels = channels
                services.hosts = self._connections
                services.superuser = channels.superuser = self._superuser = Superuser(
                    context,
                    self._front,
                    channels,
                    channels.pool,
                    tasks,
                    self._environ,
                    catalog.privileged,
                    root=self._root,
                    user=self._user,
                    services=services,
                )
                services.question_open = lambda: self._superuser.question_open
                self._splitter = Splitter(
                    channels.routes,
                    frame_bytes=limits.frame_bytes,
                    control_bytes=limits.control_bytes,
                    id_bytes=limits.channel_id_bytes,
                )
                self._secrets = SecretChunks(loop)
                tasks.start_soon(self._heed_signals, signals)
                if self._reload_first():
                    self._reload()
                if self._environ.get(RELOAD_ON_CHANGE) == "1":
                    from .reload_on_change import reload_on_change

                    tasks.start_soon(reload_on_change, services)
                with closing(self._status_socket(context, tasks)):
                    self._front.link.resume()
                    await self._over.wait()
                    await self._finish()
                tasks.cancel_scope.cancel()
            if self._hosts is not None:
                self._hosts.close()
            if agent is not None:
                agent.end()
            self._at_the_end()
        context.watchdog.close()
        return self._status

    def _connections(self) -> "Hosts":
        """Those to other hosts. Imported when they are needed: most sessions never leave their host."""
        if self._hosts is None:
            from ..helpers.hosts.hosts import Hosts

            services, channels = self._services, self._channels
            places = channels.pool.host_places
            self._hosts = Hosts(
                services.context, self._front, channels, services.tasks, self._environ, self._user, places
            )
        return self._hosts

    def _status_socket(self, context: Context, tasks: TaskGroup) -> StatusSocket:
        began = context.loop.time()

        def tell() -> bytes:
            from .snapshot import snapshot

            return snapshot(context, self._front, self._channels, began, self._splitter.seen)

        directory = directory_of(self._environ) if self._tells_status else None
        return StatusSocket(context.loop, tasks, directory, self._log, self._limits.status_seconds, tell)

    # The end

    def _end(self, why: str) -> None:
        if not self._over.is_set():
            seconds = time.monotonic() - self._began
            channels, helpers = len(self._channels.routes), len(self._channels.helpers)
            self._log.info("session-ends", why=why, seconds=f"{seconds:.1f}", channels=channels, helpers=helpers)
            self._ending = True
            self._over.set()

    def _fail(self, code: str, message: str) -> None:
        """End the session with a last word to the front end."""
        if not self._over.is_set():
            self._log.error("session-failed", problem=code, message=message)
            self._front.put_last(control("init", version=VERSION, problem=code, message=message))
            self._status = 1
            self._ending = True
            self._over.set()

    def _unforeseen(self, loop: asyncio.AbstractEventLoop, details: dict[str, object]) -> None:
        error = details.get("exception")
        where = str(details.get("message"))
        if isinstance(error, BaseException):
            self._log.unforeseen(where, error)
        self._fail(INTERNAL_ERROR, f"a mistake within the bridge: {where}")

    def _ended(self, reason: str | None) -> None:
        if self._splitter.held:
            self._log.warning("stdin-ended-within-a-frame", bytes=self._splitter.held)
        self._end(f"stdin: {reason or 'end of file'}")

    def _broken(self, reason: str) -> None:
        self._end(f"stdout: {reason}")

    async def _finish(self) -> None:
        """Close all channels, stop all helpers, each within its time, and let the front end have what waits."""
        link = self._front.link
        link.close_in()
        began = anyio.current_time()
        self._channels.disconnect()
        self._superuser.end()
        helpers = self._channels.helpers
        for helper in helpers:
            helper.finish_input()
        # One that has not said `init` has half the time to do so, and is told of what waits for it.
        await self._all_gone(helpers, self._limits.exit_seconds / 2)
        for helper in helpers:
            helper.close_input()
        await self._all_gone(helpers, self._limits.exit_seconds / 2)
        for helper in helpers:
            helper.end(Problem(TERMINATED, "the session has ended"), abandon=True)
        for helper in helpers:
            await helper.life.reached(GONE)
        with CancelScope(deadline=began + self._limits.exit_seconds):
            for lasting in self._services.lasting:
                await lasting.wait()
        link.flush()
        with anyio.move_on_after(self._limits.exit_seconds):
            drained = anyio.Event()
            link.when_empty(drained.set)
            await drained.wait()
        link.close()

    async def _all_gone(self, helpers: list[Helper], seconds: float) -> None:
        with anyio.move_on_after(seconds):
            for helper in helpers:
                await helper.life.reached(GONE)

    async def _heed_signals(self, signals: AsyncIterator[signal.Signals]) -> None:
        async for number in signals:
            if number == _RELOAD:
                self._reload()
            else:
                self._end(f"signal {signal.Signals(number).name}")

    def _reload(self) -> None:
        try:
            catalog = self._load()
        except Exception as error:  # noqa: BLE001 - a mistake of ours, for which no rule is to go
            self._log.unforeseen("the reload: the rules stay as they were", error)
            return
        tell_defects(self._log, catalog)
        if catalog.incomplete:
            self._log.error("not-reloaded", why="a directory of packages cannot be read: the rules stay as they were")
            return
        self._catalog = catalog
        self._log.info("reloaded", packages=len(catalog.packages), rules=len(catalog.rules))
        self._channels.use_rules(catalog.rules, catalog.privileged)
        self._superuser.use_rules(catalog.privileged)
        for tell in self._services.on_reload:
            tell()

    # From the front end

    def _chunk(self, chunk: bytes) -> None:
        if self._superuser.question_open:  # what comes may be the password
            self._secrets.add(chunk)
        elif self._secrets:
            self._secrets.wipe()
        lone = self._splitter.lone(chunk)
        try:
            for sink, span in self._splitter.feed(chunk) if lone is None else ((lone, chunk),):
                if sink is CONTROL:
                    self._control(span)  # type: ignore[arg-type]
                elif sink is UNROUTED:
                    self._unrouted(span)  # type: ignore[arg-type]
                else:
                    try:
                        sink.put(span)  # type: ignore[union-attr]
                    except Exception as error:  # noqa: BLE001 - raised again, unless one channel made the mistake
                        self._channels.spoilt(sink, error)  # type: ignore[arg-type]
                if self._ending:
                    return
            if self._channels.unanswered:
                self._channels.answer_closes()
            if self._channels.secret_came:
                self._channels.secret_came = False
                self._secrets.add(chunk)
            if self._splitter.missing:
                self._move_rest()
        except FrameError as error:
            self._fail(PROTOCOL_ERROR, str(error))
        except Problem as problem:
            self._fail(PROTOCOL_ERROR, str(FrameError(self._splitter.offset, problem.message)))

    def _move_rest(self) -> None:
        """What was read ends within a frame. Of a large one pass that on, and have the kernel move the rest."""
        sink, missing, reader = self._splitter.unfinished, self._splitter.missing, self._front.link.reader
        if sink is None or not sink.takes:
            return
        if missing < REST_BYTES:
            if self._splitter.begun >= 2 * REST_BYTES:
                reader.aim(missing)
            return
        if not reader.source.holds(missing):
            return
        lost = sink.move_in(self._splitter.hand_over(), reader.source, missing)
        reader.moved(self._splitter.header_bytes)
        if lost:
            self._fail(INTERNAL_ERROR, "somebody else reads the same stdin: part of a frame is lost")

    def _unrouted(self, ident: bytes) -> None:
        """Data for a channel that is not open: dropped, since races make this normal."""
        if self._channels.host is None:
            raise Problem(PROTOCOL_ERROR, "expected init as the first frame, found data")
        try:
            ident.decode()
        except UnicodeDecodeError:
            raise Problem(PROTOCOL_ERROR, f"expected a channel id in UTF-8, found {ident[:40]!r}") from None

    def _control(self, frame: bytes) -> None:
        payload = control_payload(frame)
        if self._channels.open_again(payload, frame):
            return
        command, channel, message = read_message(payload)
        if self._channels.host is None and command != "init":
            raise Problem(PROTOCOL_ERROR, f"expected init as the first frame, found {command[:40]!r}")
        if command == "open":
            if channel is None:
                raise Problem(PROTOCOL_ERROR, 'expected a "channel" in open')
            self._channels.open(channel, frame, message)
        elif command == "init":
            self._init(message)
        elif command == "authorize":
            self._superuser.heed_authorize(message)
        elif command == "kill":
            self._kill(message)
        elif channel is not None and command not in FOR_THE_TRANSPORT:
            self._channels.command(channel.encode(), command, frame)
        elif command == "ping":
            self._front.put(pong(message))
        else:
            self._log.debug("front", "ignored", command=command)

    def _init(self, message: dict[str, Any]) -> None:
        version, host = message.get("version"), message.get("host")
        if isinstance(version, bool) or version != VERSION:
            found = version if type(version) in (int, float) else _kind(version)
            raise Problem(PROTOCOL_ERROR, f'"version" of init: expected {VERSION}, found {found}')
        if not isinstance(host, str) or not host:
            raise Problem(PROTOCOL_ERROR, f'"host" of init: expected a name, found {_kind(host)}')
        if self._channels.host is None:
            self._channels.host = host
        self._superuser.heed_init(message.get("superuser"))

    def _kill(self, message: dict[str, Any]) -> None:
        for name in ("group", "host"):
            if not isinstance(message.get(name), str | None):
                raise Problem(PROTOCOL_ERROR, f'"{name}" of kill: expected a string, found {_kind(message[name])}')
        self._channels.kill(message.get("group"), message.get("host"))


def _kind(value: object) -> str:
    """What kind of value it is: no payload is quoted, since it may hold a password."""
    if isinstance(value, msgspec.Raw):  # which Python has no number for
        return "a long number"
    return "nothing" if value is None else "an empty string" if value == "" else type(value).__name__
