"""The thread in which handlers that are no coroutines run, one at a time."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from .calling import tell
from .calls import current_call
from .serving import Serving

Job = Callable[[], None]


class Exhausted(Exception):
    """A generator has no more to give."""


class Lane:
    """Its thread starts with the first job."""

    def __init__(self, fetch: Callable[[], None]) -> None:
        """`fetch`: called in the thread when no job is left; it may wait for some, and put them."""
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._fetch = fetch
        self._started = False

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return self._jobs.empty()

    def put(self, job: Job) -> None:
        """`job` raises nothing."""
        self._jobs.put(job)
        if not self._started:
            self._started = True  # before it runs, and puts some itself
            try:
                threading.Thread(target=self._run, name="handlers", daemon=True).start()
            except RuntimeError as error:  # there is none to be had: the job waits, and the next one asks again
                self._started = False
                tell(error)

    async def run(self, serving: Serving, function: Callable[[], Any]) -> Any:
        """What `function` returns, called for this request. Raises Exhausted, and what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(result)

        def job() -> None:
            token = current_call.set(serving.number)
            result: Any = None
            error: BaseException | None = None
            serving.running = True
            try:
                result = function()
            except StopIteration:
                error = Exhausted()
            except Exception as raised:  # noqa: BLE001 - it is theirs
                error = raised
            except BaseException as raised:  # noqa: BLE001 - sys.exit() must not end the thread
                error = RuntimeError(f"{type(raised).__name__}: {raised}")
            finally:
                serving.running = False
                current_call.reset(token)
            loop.call_soon_threadsafe(settle, result, error)

        self.put(job)
        return await future

    def _run(self) -> None:
        while True:
            if self._jobs.empty():
                self._fetch()
            self._jobs.get()()
