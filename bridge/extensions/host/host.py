"""The host: one process for each user, which all sessions share. It ends a while after its last relay."""

import asyncio
import contextlib
import errno
import fcntl
import gc
import os
import pwd
import resource
import signal
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio

from ...limits import Limits, SettingError, read_limits
from ...log import Log
from ...wire.children import Children
from ...wire.context import Context
from ...wire.flusher import Flusher
from ...wire.heeded_signals import quiet_when_full
from ...wire.own import own_descriptor
from ...wire.pipe_budget import PipeBudget
from ...wire.poller import Poller
from ...wire.watchdog import Watchdog
from ..files import open_own
from ..host_log import HostLog
from ..life.life import Life
from ..life.parts import Parts
from ..places import LOCK, SOCKET, PlaceError, Places, in_directory, open_private, peer_uid, places_of
from .management import Management
from .requests import Requests
from .session import Session
from .watch import evaluate_alerts, sweep

_BACKLOG: Final = 128
_AGAIN_SECONDS: Final = 10.0
_ACCEPT_SECONDS: Final = 0.5
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_SWITCH_SECONDS: Final = 0.0005
_MORE_BYTES: Final = 64 << 20
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """`--ready-fd N`: where to say that it listens. The exit status."""
    ready = int(arguments[arguments.index("--ready-fd") + 1]) if "--ready-fd" in arguments else -1
    return serve(ready=ready)


def serve(*, ready: int = -1, stay: bool = False, alone: Sequence[str] = (), echo: bool = False) -> int:
    """Be the host; the exit status. `stay`: it does not end by itself. `alone`: directories that are extensions.

    `echo`: what it has to say goes to stderr, too. It waits for the host that runs, if there is one, to end.
    """
    try:
        limits = read_limits([], os.environ)
        places = places_of(os.environ)._replace(alone=tuple(alone))
        directory = open_private(places.run)
        os.close(open_private(places.state))
    except (SettingError, PlaceError) as error:
        _say(ready, str(error))
        return 1
    log = HostLog(os.path.join(places.state, "host.log"), limits.extension_log_bytes, echo=echo)
    try:
        lock = open_own(in_directory(directory, LOCK), os.O_RDWR)
    except OSError as error:
        _say(ready, f"{LOCK}: {error.strerror}")
        log.error("host-failed", what=str(error))
        return 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if ready < 0:
            log.info("host-waits", why="another host serves, and goes on until its last session has ended")
        fcntl.flock(lock, fcntl.LOCK_EX)  # one that is about to end holds it for a moment
    _bound_files(limits)
    # Threads of desks and the event loop take turns often: a call must not wait for the default 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        poller = Poller()
        loop = {"loop_factory": lambda: asyncio.SelectorEventLoop(poller)}
        return anyio.run(_serve, places, directory, limits, log, ready, stay, poller, backend_options=loop)
    except (
        OSError,
        RuntimeError,
        ValueError,
        sqlite3.Error,
    ) as error:  # a setting that cannot be, a full disk, no thread
        _say(ready, str(error))
        log.error("host-failed", what=str(error))
        return 1


def _bound_files(limits: Limits) -> None:
    """No file that this process writes gets much larger than the limits on them: SQLite bounds neither its temporary
    files nor the log of writes beside a database."""
    most = max(2 * limits.extension_database_bytes, limits.extension_audit_bytes, limits.extension_deliveries_bytes)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wanted = min(most + _MORE_BYTES, 1 << 62)
    if soft == resource.RLIM_INFINITY or soft > wanted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted, hard))


def _say(ready: int, what: str) -> None:
    if ready >= 0:
        with contextlib.suppress(OSError):  # whoever started us has gone
            os.write(ready, what.encode())
        os.close(ready)
    elif what != "ready":
        sys.stderr.write(f"spanbridge extension serve: {what}\n")


async def _serve(
    places: Places, directory: int, limits: Limits, log: HostLog, ready: int, stay: bool, poller: Poller
) -> int:
    def unforeseen(loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
        log.error("unforeseen", where=details.get("message"), what=repr(details.get("exception")))

    asyncio.get_running_loop().set_exception_handler(unforeseen)
    context = _context(limits, log, poller)
    parts = Parts(places, limits, os.environ, log, poller, context.flusher)
    life = Life(parts)
    await life.look()
    host = Host(context, parts, life, directory, stay)
    listener = host.listen()
    log.info("host-started", pid=os.getpid())
    gc.freeze()  # what is there by now stays: nobody is to look through it in the middle of a request
    _say(ready, "ready")
    try:
        await host.run(listener)
    finally:
        life.close()
        parts.close()
        log.info("host-ended", pid=os.getpid())
    return 0


def _context(limits: Limits, log: HostLog, poller: Poller) -> Context:
    """What the channels of sessions are given, as those of a bridge are. No program is started by them."""
    loop = asyncio.get_running_loop()
    budget = PipeBudget(limits.large_pipes, limits.pipe_bytes)
    told = Log(sink=log.put)
    watchdog = Watchdog(lambda why: log.warning("no-watchdog", why=why))
    return Context(loop, poller, Flusher(loop), budget, limits, told, watchdog, Children(loop))


class Host:
    """Takes relays, serves each, and sees to it that all ends."""

    def __init__(self, context: Context, parts: Parts, life: Life, directory: int, stay: bool) -> None:
        self._context = context
        self._parts = parts
        self._life = life
        self._directory = directory
        self._stay = stay
        self._requests = Requests(parts, life.extensions, Management(parts, life))
        self._relays = 0
        self._over = anyio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._user = (_name_of(os.geteuid()), os.geteuid())
        self._tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "life": life.run,
            "always": life.start_always,
            "deliveries": parts.deliveries.run,
            "sweep": lambda: sweep(parts, life),
            "alerts": lambda: evaluate_alerts(parts, life),
        }

    def listen(self) -> socket.socket:
        """Raises OSError."""
        path = in_directory(self._directory, SOCKET)
        with contextlib.suppress(FileNotFoundError):  # of one that was killed
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listener.fileno(), 0o600)  # what bind() makes has this mode from the beginning, but for the umask
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        return listener

    async def run(self, listener: socket.socket) -> None:
        """Until it was alone long enough, or a signal ends it."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            for number in _SIGNALS:
                loop.add_signal_handler(number, self._over.set)
            quiet_when_full()
            loop.add_reader(listener, lambda: self._accept(listener, tasks))
            for name, part in self._tasks.items():
                tasks.start_soon(self._guarded, name, part)
            self._linger()
            await self._over.wait()
            # Who connects from now on finds nobody, and starts another, which waits for our lock.
            loop.remove_reader(listener)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(in_directory(self._directory, SOCKET))
            listener.close()
            tasks.cancel_scope.cancel()

    async def _guarded(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """What fails is told, tried again after a while, and ends nothing else: sessions and extensions go on."""
        while True:
            try:
                await part()
                return
            except Exception as error:  # noqa: BLE001 - a mistake of ours, or a full disk
                while isinstance(error, ExceptionGroup):
                    error = error.exceptions[0]
                self._parts.log.error("unforeseen", where=name, what=f"{type(error).__name__}: {error}")
            await anyio.sleep(_AGAIN_SECONDS)

    def _linger(self) -> None:
        if not self._stay and not self._relays:
            seconds = self._parts.limits.extension_linger_seconds
            self._lingering = asyncio.get_running_loop().call_later(seconds, self._over.set)

    def _accept(self, listener: socket.socket, tasks: anyio.abc.TaskGroup) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:  # it would be called again at once, without end
                self._parts.log.error("accept", what=str(error))
                self._context.loop.remove_reader(listener)
                self._context.loop.call_later(_ACCEPT_SECONDS, self._accept_again, listener, tasks)
            return
        if peer_uid(connection) != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._relays += 1
        tasks.start_soon(self._relay, connection, tasks)

    def _accept_again(self, listener: socket.socket, tasks: anyio.abc.TaskGroup) -> None:
        if listener.fileno() >= 0:
            self._context.loop.add_reader(listener, lambda: self._accept(listener, tasks))

    async def _relay(self, connection: socket.socket, tasks: anyio.abc.TaskGroup) -> None:
        """One session, from its relay's greeting to its end."""
        fds: list[int] = []
        try:
            await anyio.wait_readable(connection)
            _, fds, _, _ = socket.recv_fds(connection, 1, 3)
            if len(fds) == 3:
                connection.send(b"w")
                await self._session(connection, tasks, fds)
        except Exception as error:  # noqa: BLE001 - of one session: the others go on
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            event = "relay" if isinstance(error, OSError) else "unforeseen"
            self._parts.log.error(event, where="session", what=f"{type(error).__name__}: {error}")
        finally:
            for fd in fds:
                os.close(fd)
            connection.close()
            self._relays -= 1
            self._linger()

    async def _session(self, connection: socket.socket, tasks: anyio.abc.TaskGroup, fds: list[int]) -> None:
        ours = own_descriptor(fds[0]), own_descriptor(fds[1])
        session = Session(self._context, tasks, *ours, requests=self._requests, user=self._user)
        loop = self._context.loop
        # The relay was killed: so is its session.
        loop.add_reader(connection, session.end)
        try:
            await asyncio.wait([session.over])  # which is the session's to settle, also when this is cancelled
        except BaseException:
            session.end()
            with anyio.CancelScope(shield=True):
                await session.gone
            raise
        finally:
            loop.remove_reader(connection)
        wrong = session.over.result()
        if wrong is not None:
            self._parts.log.warning("session", what=wrong)
        with contextlib.suppress(OSError):
            connection.send(b"e")
        await session.gone  # the host goes on meanwhile


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # an id without a name
        return str(uid)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
