"""The thread that serves one extension: its database, and all that it calls the host for.

Processes of the extension (two, while a new one takes over) have a socket each. The thread waits for all of them, and
serves one call at a time. A transaction belongs to the handler call that began it; the calls of others wait here.
"""

import concurrent.futures
import contextlib
import os
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ...limits import Limits
from ..errors import OverLimit, SqliteError
from ..host_log import HostLog
from ..inner.messages import Call, Reply, decode_call, encode
from ..inner.wire import Frames, WireError, framed
from ..services.keeper import DatabaseFailed

T = TypeVar("T")

_LONGEST_SECONDS: Final = 86_400.0
"""More than a day is more than the kernel may take; whoever waits then waits anew."""

Operation = Callable[["Client", Call], Any]

_LIMITS: Final = {
    "SQLITE_FULL": "extension_database_bytes",  # or it is the disk: which one, SQLite does not say
    "SQLITE_INTERRUPT": "extension_query_seconds",
    "SQLITE_NOMEM": "extension_memory_bytes",
}
"""What is hit where SQLite says so."""


class Client:
    """One process at the desk."""

    __slots__ = ("actor", "cursors", "frames", "give_up", "hung_up", "name", "next_cursor", "sock", "undone", "waiting")

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        actor: Callable[[int], tuple[str, int] | None],
        give_up: Callable[[str], None],
        hung_up: Callable[[], None],
        message_bytes: int,
    ) -> None:
        """`actor`: whose request has this number. `give_up`: called when it does not keep to the protocol.

        `hung_up`: called when it has closed its end, most often by ending.
        """
        self.name = name
        self.sock = sock
        self.actor = actor
        self.give_up = give_up
        self.hung_up = hung_up
        self.frames = Frames(message_bytes)
        self.waiting = 0  # calls that are not answered
        self.undone: set[int] = set()  # calls whose transaction was undone: a thread of theirs may go on
        self.cursors: dict[int, tuple[int, Any]] = {}  # number -> call, cursor
        self.next_cursor = 1


class _Owner(NamedTuple):
    client: Client
    call: int
    lane: int


class _Parked(NamedTuple):
    client: Client
    call: Call
    until: float


class Desk:
    """`operations` by name; those whose names begin with "db." are kept apart by transactions.

    `in_transaction` tells whether one is open, `undo` undoes it, `close_cursor` ends what was opened.
    """

    def __init__(
        self,
        name: str,
        operations: Mapping[str, Operation],
        log: HostLog,
        *,
        in_transaction: Callable[[], bool],
        undo: Callable[[], None],
        close: Callable[[], None],
        limits: Limits,
    ) -> None:
        self.name = name
        self._operations = operations
        self._log = log
        self._in_transaction = in_transaction
        self._undo = undo
        self._shut = close
        self._limits = limits
        self._clients: dict[int, Client] = {}
        self._owner: _Owner | None = None
        self._parked: list[_Parked] = []
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._over = False
        self._closed = False
        """Whether `_wake` may be somebody else's by now."""
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"desk {name}", daemon=True)
        self._thread.start()

    # From other threads

    def attach(
        self,
        sock: socket.socket,
        actor: Callable[[int], tuple[str, int] | None],
        give_up: Callable[[str], None],
        hung_up: Callable[[], None],
    ) -> Client:
        """Serve the process at the other end of `sock`, which is the desk's from now on."""
        client = Client(self.name, sock, actor, give_up, hung_up, self._limits.extension_message_bytes)
        if not self._put(lambda: self._attach(client)):
            sock.close()
        return client

    def detach(self, client: Client) -> None:
        """Its process has ended."""
        self._put(lambda: self._detach(client))

    def ended(self, client: Client, call: int) -> None:
        """The handler has returned: a transaction that it left open is undone."""
        owner = self._owner
        if client.cursors or (owner is not None and owner.client is client and owner.call == call):
            self._put(lambda: self._ended(client, call))

    def do(self, job: Callable[[], T]) -> "concurrent.futures.Future[T]":
        """Run `job` in the thread. The future has a RuntimeError if that has ended."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                future.set_exception(error)

        if not self._put(run):
            future.set_exception(RuntimeError(f"{self.name}: it has ended"))
        return future

    def close(self) -> None:
        """End the thread, if it can: one that is deep in SQLite is left behind."""
        self._put(self._end)
        self._thread.join(2.0)

    def _put(self, job: Callable[[], None]) -> bool:
        """Whether it will be done: not after the end of the thread."""
        with self._closing:
            if self._closed:
                return False
            self._jobs.put(job)
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake, b"\0")
        return True

    # In the thread

    def _run(self) -> None:
        while not self._over:
            for fd, _ in self._poll.poll(self._patience()):
                if fd == self._woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                    self._do_jobs()
                elif fd in self._clients:
                    self._readable(self._clients[fd])
            if self._parked:
                self._look_at_parked()
        with self._closing:
            self._closed = True
            os.close(self._woken)
            os.close(self._wake)
        self._do_jobs()  # what has come since
        for client in list(self._clients.values()):
            self._detach(client)
        self._shut()

    def _patience(self) -> float | None:
        if not self._parked:
            return None
        seconds = min(parked.until for parked in self._parked) - time.monotonic()
        return min(max(0.0, seconds), _LONGEST_SECONDS) * 1000 + 1

    def _do_jobs(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()()

    def _end(self) -> None:
        self._over = True

    def _attach(self, client: Client) -> None:
        seconds, part = divmod(min(self._limits.extension_reply_seconds, _LONGEST_SECONDS), 1)
        timeval = struct.pack("@ll", int(seconds), int(part * 1_000_000) or not seconds)  # 0 would be no limit
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._clients[client.sock.fileno()] = client
        self._poll.register(client.sock, select.POLLIN)

    def _detach(self, client: Client) -> None:
        if self._clients.pop(client.sock.fileno(), None) is None:
            return
        self._poll.unregister(client.sock)
        client.sock.close()
        self._parked = [parked for parked in self._parked if parked.client is not client]
        self._close_cursors(client, None)
        if self._owner is not None and self._owner.client is client:
            self._undo_left_open("its process has ended")

    def _ended(self, client: Client, call: int) -> None:
        self._close_cursors(client, call)
        owner = self._owner
        if owner is not None and owner.client is client and owner.call == call:
            client.undone.add(call)
            self._undo_left_open("the handler has returned")

    def _undo_left_open(self, why: str) -> None:
        self._log.warning("transaction-undone", extension=self.name, why=why)
        self._owner = None
        try:
            self._undo()
        except (SqliteError, ValueError) as error:
            self._log.error("transaction-not-undone", extension=self.name, what=str(error))

    def _close_cursors(self, client: Client, call: int | None) -> None:
        for number, (of, cursor) in list(client.cursors.items()):
            if call is None or (of == call and call != 0):
                del client.cursors[number]
                cursor.rows.close()

    def _readable(self, client: Client) -> None:
        came = client.frames.read(client.sock)
        if came is None:
            return
        if not came:
            self._detach(client)
            client.hung_up()
            return
        try:
            for body in client.frames.messages():
                call = decode_call(body)
                client.waiting += 1
                self._take(client, call)
        except (WireError, msgspec.MsgspecError) as error:
            client.give_up(f"against the inner protocol: {error}")
            self._detach(client)

    def _take(self, client: Client, call: Call) -> None:
        if not call.operation.startswith("db."):
            self._reply(client, self._served(client, call))
            return
        if call.call in client.undone:  # the second half of it by itself would be worse than nothing
            told = ("sqlite", "SQLITE_ABORT", "the transaction was undone: its handler has returned")
            self._reply(client, Reply(call.seq, None, told))
            return
        owner = self._owner
        if owner is None or (owner.client is client and owner.call == call.call):
            reply = self._served(client, call)
            # Before the reply: once it has that, the handler may return, and what it left open is looked for.
            self._owner = _Owner(client, call.call, call.lane) if self._in_transaction() else None
            self._reply(client, reply)
        elif owner.client is client and owner.lane == call.lane:
            # The thread that would end the transaction is the one that waits for this.
            self._reply(client, Reply(call.seq, None, _busy("in another handler, which cannot go on meanwhile")))
        else:
            self._parked.append(_Parked(client, call, time.monotonic() + self._limits.extension_busy_seconds))

    def _look_at_parked(self) -> None:
        now = time.monotonic()
        waiting, self._parked = self._parked, []
        for parked in waiting:
            if self._owner is not None and now >= parked.until:
                seconds = self._limits.extension_busy_seconds
                self._log.limit("extension_busy_seconds", seconds, extension=self.name)
                told = f"for {seconds:g} s (extension_busy_seconds)"
                self._reply(parked.client, Reply(parked.call.seq, None, _busy(told)))
            elif self._owner is None:
                self._take(parked.client, parked.call)
            else:
                self._parked.append(parked)

    def _served(self, client: Client, call: Call) -> Reply:
        operation = self._operations.get(call.operation)
        try:
            if operation is None:
                raise ValueError(f"{call.operation}: no such call")
            return Reply(call.seq, operation(client, call))
        except SqliteError as error:
            if (name := _LIMITS.get(error.code)) is not None:
                self._log.limit(name, getattr(self._limits, name), extension=self.name, why=str(error))
            return Reply(call.seq, None, ("sqlite", error.code, str(error)))
        except OverLimit as error:
            self._log.limit(error.name, error.most, extension=self.name)
            return Reply(call.seq, None, ("value", "", str(error)))
        except (ValueError, TypeError) as error:
            return Reply(call.seq, None, ("value", "", str(error)))
        except RuntimeError as error:
            return Reply(call.seq, None, ("error", "", str(error)))
        except DatabaseFailed as error:
            self._log.error("database", extension=self.name, what=str(error))
            return Reply(call.seq, None, ("error", "", str(error)))
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not end the thread
            self._log.error("unforeseen", where=call.operation, what=f"{type(error).__name__}: {error}")
            return Reply(call.seq, None, ("error", "", "a mistake within the host, see host.log"))

    def _reply(self, client: Client, reply: Reply) -> None:
        client.waiting -= 1
        try:
            body = encode(reply)
        except (TypeError, ValueError, OverflowError) as error:
            body = encode(Reply(reply.seq, None, ("value", "", str(error))))
        try:
            client.sock.sendall(framed(body))
        except BlockingIOError:
            seconds = self._limits.extension_reply_seconds
            self._log.limit("extension_reply_seconds", seconds, extension=self.name)
            client.give_up(f"it took nothing of the replies to its calls for {seconds:g} s (extension_reply_seconds)")
        except OSError:  # it has ended, and its exit will tell
            return

    # Cursors, for the operations

    def keep(self, client: Client, call: int, cursor: Any) -> int:
        """A number for a cursor. Raises OverLimit."""
        most = self._limits.extension_iterations
        if len(client.cursors) >= most:
            raise OverLimit(f"iterate: {most} iterations go on already", "extension_iterations", most)
        number = client.next_cursor
        client.next_cursor += 1
        client.cursors[number] = (call, cursor)
        return number


def _busy(how: str) -> tuple[str, str, str]:
    return ("sqlite", "SQLITE_BUSY", f"the database is in a transaction {how}")
