"""Databases of the host's own: how one is opened, what is told of one that fails, and one with a thread that writes for
all: what comes together is committed together."""

import concurrent.futures
import functools
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

_TOGETHER: Final = 1_000
_MODE: Final = 0o600
_LONGEST_SECONDS: Final = 86_400.0  # SQLite counts milliseconds in an int


class _Owner(Protocol):
    @property
    def path(self) -> str: ...


O = TypeVar("O", bound=_Owner)  # noqa: E741 - of the owner
P = ParamSpec("P")
T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class DatabaseFailed(sqlite3.Error):
    """It cannot be read, or written, now: somebody else holds its lock, the disk is full. The text names the file."""


def opened(path: str, seconds: float, synchronous: str) -> sqlite3.Connection:
    """The file, made if it is missing, for the user alone. `seconds`: how long whoever holds its lock is waited for.

    Raises DatabaseFailed, OSError.
    """
    _make_private(path)
    with naming(path):
        db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=min(seconds, _LONGEST_SECONDS)
        )
        db.text_factory = _text_or_bytes
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
    return db


def _make_private(path: str) -> None:
    """The file, made if it is missing, ours to use whatever the umask is. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, _MODE)
    try:
        if os.fstat(fd).st_mode & _MODE != _MODE:
            os.fchmod(fd, _MODE)  # a umask may have taken it from ourselves
    finally:
        os.close(fd)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """What fails within is told with the file. Raises DatabaseFailed."""
    try:
        yield
    except Exception as error:
        failed = named_failure(path, error)
        if failed is error:
            raise
        raise failed from None


def named_failure(path: str, error: Exception) -> Exception:
    """With the file, if it is one of SQLite's."""
    if isinstance(error, MemoryError):
        return DatabaseFailed(f"{path}: out of memory (extension_memory_bytes)")
    if isinstance(error, sqlite3.Error) and not isinstance(error, DatabaseFailed):
        return DatabaseFailed(f"{path}: {error}")
    return error


def _text_or_bytes(data: bytes) -> str | bytes:
    """Bytes, where somebody has written what is no UTF-8: one such row must not fail all."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def naming_file(method: Callable[Concatenate[O, P], T]) -> Callable[Concatenate[O, P], T]:
    """The same for all that a method does."""

    @functools.wraps(method)
    def named(self: O, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with naming(self.path):
            return method(self, *args, **kwargs)

    return named


class Keeper:
    """The file at `path`, with `schema` in it. What `do` runs is on disk when its future is done."""

    def __init__(self, path: str, schema: str, seconds: float) -> None:
        """Commits survive a loss of power. `seconds`: how long whoever holds the lock of the file is waited for.

        Raises DatabaseFailed, OSError.
        """
        self.path = path
        self._db = opened(path, seconds, "FULL")
        with naming(path):
            self._db.executescript(schema)
        self._jobs: queue.SimpleQueue[tuple[Job[Any], concurrent.futures.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=os.path.basename(path), daemon=True)
        self._thread.start()

    def do(self, job: Job[T]) -> "concurrent.futures.Future[T]":
        """Run `job` on the connection. If it raises, what it wrote is undone, and only that.

        What SQLite says is DatabaseFailed.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        # What was asked for is done, though nobody may wait for it any more: to cancel it is not possible.
        future.set_running_or_notify_cancel()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Do what waits, then close."""
        self._jobs.put(None)
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        over = False
        while not over:
            batch = [self._jobs.get()]
            while len(batch) < _TOGETHER and not self._jobs.empty():
                batch.append(self._jobs.get())
            over = None in batch
            self._do_all([each for each in batch if each is not None])

    def _do_all(self, batch: list[tuple[Job[Any], concurrent.futures.Future[Any]]]) -> None:
        done: list[tuple[concurrent.futures.Future[Any], Any]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job, future in batch:
                self._db.execute("SAVEPOINT job")
                try:
                    done.append((future, job(self._db)))
                except Exception as error:
                    if not self._db.in_transaction:  # the disk is full: SQLite has undone all of the batch
                        raise
                    self._db.execute("ROLLBACK TO job")
                    future.set_exception(named_failure(self.path, error))
                self._db.execute("RELEASE job")
            self._db.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:  # the disk is full, or somebody else holds the lock
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            failed = named_failure(self.path, error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(failed)
            return
        for future, result in done:
            future.set_result(result)
