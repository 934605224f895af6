"""A database of the host's own, with a thread that writes for all: what comes together is committed together."""

import concurrent.futures
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

_TOGETHER: Final = 1_000


class Keeper:
    """The file at `path`, with `schema` in it. What `do` runs is on disk when its future is done."""

    def __init__(self, path: str, schema: str, *, full: bool = True) -> None:
        """`full`: commits survive a loss of power, too. Raises sqlite3.Error, OSError."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
        self._db.executescript(schema)
        self._jobs: queue.SimpleQueue[tuple[Job[Any], concurrent.futures.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=os.path.basename(path), daemon=True)
        self._thread.start()

    def do(self, job: Job[T]) -> "concurrent.futures.Future[T]":
        """Run `job` on the connection. If it raises, what it wrote is undone, and only that."""
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
                except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                    self._db.execute("ROLLBACK TO job")
                    future.set_exception(error)
                self._db.execute("RELEASE job")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full, or worse
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)
