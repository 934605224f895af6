"""The thread in which handlers that are no coroutines run, one at a time."""

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Lane:
    """Its thread starts with the first job."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._started = False

    def put(self, job: Job) -> None:
        """`job` raises nothing."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="handlers", daemon=True).start()
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            self._jobs.get()()
