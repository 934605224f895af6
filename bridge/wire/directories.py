"""Whether the directory that a program is to start in answers: nobody comes back from a file system that hangs.

A start waits until the program runs, and nobody else is served meanwhile. So a thread goes first, which may hang: one
for each directory, however often that is asked for.
"""

import asyncio
import os
import threading
from contextlib import suppress


class Directories:
    """Those of one session that are asked for."""

    __slots__ = ("_asked", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: dict[bytes, asyncio.Event] = {}  # that have not answered yet

    async def answered(self, directory: bytes) -> None:
        """Returns once it is known whether one can go there, whatever the answer: the start tells it."""
        came = self._asked.get(directory)
        if came is None:
            came = self._asked[directory] = asyncio.Event()
            try:
                # The kernel cannot be interrupted: what hangs there must not hold up the end of the process.
                threading.Thread(target=self._ask, args=(directory,), name="directory", daemon=True).start()
            except RuntimeError:  # no thread is left: it is gone to as it is
                self._told(directory)
        await came.wait()

    def _ask(self, directory: bytes) -> None:
        with suppress(OSError, ValueError):
            os.access(directory, os.X_OK, effective_ids=True)
        with suppress(RuntimeError):  # the loop is closed: the session has ended meanwhile
            self._loop.call_soon_threadsafe(self._told, directory)

    def _told(self, directory: bytes) -> None:
        self._asked.pop(directory).set()
