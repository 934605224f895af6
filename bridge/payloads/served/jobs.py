"""Blocking work, in threads: nothing of it runs in the event loop, holds up the session, or its end.

`file_jobs` run at once, in the order in which they were asked for; one that takes more than a second gives up its
place but goes on, so that a dead mount delays nobody else. A job owns what it opens: one that is abandoned may return
when its channel, and all that it knew, is long gone.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..base import Services

Result = TypeVar("Result")


class Job:
    """One call, from the asking to the answer."""

    __slots__ = ("abandoned", "call", "dispose", "lock", "placed", "returned", "then", "until")

    def __init__(
        self,
        call: Callable[[], Any],
        then: Callable[[Any, BaseException | None], None],
        dispose: Callable[[Any], object],
    ) -> None:
        self.call = call
        self.then = then
        self.dispose = dispose
        self.lock = threading.Lock()  # between the thread that ends it and the loop that abandons it
        self.abandoned = False
        self.returned = False
        self.placed = False  # whether it has one of the places
        self.until = 0.0  # loop time at which it gives that up


class Jobs:
    """One for a session (Services.once). Threads are daemons: one that hangs does not outlive the process's end."""

    def __init__(self, services: Services) -> None:
        context = services.context
        self._loop = context.loop
        self._brought: deque[tuple[Job, Any, BaseException | None, bool]] = deque()  # by threads
        # Rung by threads. asyncio's own way from a thread into its loop takes twice as long.
        try:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError as error:
            raise Problem(INTERNAL_ERROR, f"no threads for files: {error.strerror}") from None
        context.poller.watch_read(self._bell, self._rung)
        self._log = context.log
        self._flusher = context.flusher
        self._places = self._kept = context.limits.file_jobs
        self._most = context.limits.file_threads
        self._seconds = context.limits.file_job_seconds  # that a job keeps its place
        self._waiting: deque[Job] = deque()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._placed: dict[Job, None] = {}  # that have one of the places, in the order in which they got it
        self._patience: asyncio.TimerHandle | None = None
        self._threads = 0
        self._idle = 0  # threads that wait for a job
        self._lacking = 0  # jobs that were started without a thread of their own
        self._busy = 0  # jobs that were started and have not returned

    async def run(
        self, function: Callable[..., Result], *args: Any, dispose: Callable[[Result], object] = bool
    ) -> Result:
        """What `function` returns or raises. Cancelled, it is abandoned: what it returns then goes to `dispose`, in
        its thread. Raises Problem (`internal-error`) where `file_threads` have not returned."""
        future: asyncio.Future[Result] = self._loop.create_future()

        def returned(result: Any, error: BaseException | None) -> None:
            if future.done():  # cancelled, which nobody has acted on yet
                if error is None:
                    _dispose(dispose, result)
            elif error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def returned_soon(result: Any, error: BaseException | None) -> None:
            # After what the event loop has to do already: a task whose waiting is over cannot be cancelled, and jobs
            # that are quick, one after another, would keep it from that.
            self._loop.call_soon(returned, result, error)

        job = self.submit(lambda: function(*args), returned_soon, dispose)
        try:
            return await future
        except asyncio.CancelledError:
            self.abandon(job)
            raise

    def submit(
        self,
        call: Callable[[], Result],
        returned: Callable[[Any, BaseException | None], None],
        dispose: Callable[[Result], object] = bool,
    ) -> "Job":
        """The same without a task: `returned(result, error)` is called in the event loop, unless it is abandoned."""
        if self._busy >= self._most:
            self._log.limit("file_threads", self._most)
            raise Problem(INTERNAL_ERROR, f"{self._most} file operations have not returned (file_threads)")
        if not self._threads:
            if not self._begin_thread():
                raise Problem(INTERNAL_ERROR, "no thread can be started for files")
            self._idle += 1
        job = Job(call, returned, dispose)
        if self._places > 0:
            self._start(job)
        else:
            self._waiting.append(job)
        return job

    def _start(self, job: Job) -> None:
        self._busy += 1
        self._places -= 1
        job.placed = True
        job.until = self._loop.time() + self._seconds
        self._placed[job] = None
        if self._patience is None:
            self._patience = self._loop.call_at(job.until, self._look_at_places)
        if self._idle:
            self._idle -= 1
        elif not self._begin_thread():
            self._lacking += 1  # the next one that is free takes it
        self._queue.put(job)

    def _begin_thread(self) -> bool:
        try:
            threading.Thread(target=self._work, name="job", daemon=True).start()
        except RuntimeError:  # RLIMIT_NPROC, the pids of a control group, no memory
            return False
        self._threads += 1
        return True

    def _look_at_places(self) -> None:
        """Those that have taken too long give up theirs. One timer for all: most jobs are over long before."""
        self._patience = None
        now = self._loop.time()
        for job in [job for job in self._placed if job.until <= now]:
            self._log.limit("file_job_seconds", self._seconds)
            self._give_place(job)
        while self._lacking and self._begin_thread():
            self._lacking -= 1
        if self._placed:
            first = next(iter(self._placed))
            self._patience = self._loop.call_at(first.until, self._look_at_places)
        elif self._lacking:
            self._patience = self._loop.call_later(self._seconds, self._look_at_places)

    def _give_place(self, job: Job) -> None:
        if job.placed:
            job.placed = False
            del self._placed[job]
            self._places += 1
        while self._waiting and self._places > 0 and self._busy < self._most:
            self._start(self._waiting.popleft())

    def abandon(self, job: Job) -> None:
        """Nobody waits for it any more. Harmless once it has been told of."""
        if not job.placed and job in self._waiting:
            self._waiting.remove(job)
            return
        with job.lock:
            job.abandoned = True

    def _work(self) -> None:
        """The life of a thread."""
        while True:
            job = self._queue.get()
            if job is None:
                return
            result: Any = None
            error: BaseException | None = None
            try:
                result = job.call()
            except BaseException as raised:  # noqa: BLE001 - it belongs to whoever asked
                error = raised
            with job.lock:
                job.returned = True
                unwanted = job.abandoned
            if unwanted:
                if error is None:
                    job.dispose(result)
                result = None
            self._brought.append((job, result, error, unwanted))
            del job, result, error  # not kept until the next one comes
            os.eventfd_write(self._bell, 1)

    def _rung(self) -> None:
        os.eventfd_read(self._bell)
        self._flusher.turn(self._take_brought)

    def _take_brought(self) -> None:
        for _ in range(len(self._brought)):
            self._returned(*self._brought.popleft())

    def _returned(self, job: Job, result: Any, error: BaseException | None, disposed: bool) -> None:
        self._busy -= 1
        if self._lacking:
            self._lacking -= 1
        elif self._idle < self._kept:
            self._idle += 1
        else:
            self._threads -= 1
            self._queue.put(None)  # one thread too many, from a time when others did not return
        self._give_place(job)
        if not job.abandoned:
            job.then(result, error)
        elif error is None and not disposed:  # abandoned after the thread had looked
            _dispose(job.dispose, result)


def _dispose(dispose: Callable[[Result], object], result: Result) -> None:
    aside(lambda: dispose(result))


def aside(close: Callable[[], object]) -> None:
    """Call it, not in the event loop, if there can be a thread: to close a file may take as long as to read it."""
    try:
        threading.Thread(target=close, name="aside", daemon=True).start()
    except RuntimeError:
        close()
