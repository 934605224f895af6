"""Whether the directory that a program is to start in answers: nobody comes back from a file system that hangs.

A start waits until the program runs, and nobody else is served meanwhile. So a thread goes first, which may hang: one
for each directory, however often that is asked for. One that has come back is kept: to begin one takes longer than most
directories take to answer.
"""

import asyncio
import os
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..log import Log

_MOMENT_SECONDS: Final = 0.001


class _Question:
    """`known`, once it is answered, and `came`, once the loop has heard of it."""

    __slots__ = ("came", "directory", "known")

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self.known = threading.Event()
        self.came = asyncio.Event()


class Directories:
    """Those of one session that are asked for: so many at once, at `most`."""

    __slots__ = ("_asked", "_is_kept", "_log", "_loop", "_most", "_queue")

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log, most: int) -> None:
        self._loop = loop
        self._log = log
        self._most = most
        self._asked: dict[bytes, _Question] = {}  # that have not answered yet
        self._queue: SimpleQueue[_Question | None] = SimpleQueue()
        self._is_kept = False  # a thread that waits for a question

    def answers_at_once(self, directory: bytes) -> bool:
        """Whether it has answered after a moment, in which nobody else is served; that spares those that are near the
        turns of the loop. If not, `answered` is to be awaited. Raises Problem as that does."""
        question = self._asked.get(directory)
        seconds = _MOMENT_SECONDS if question is None else 0
        question = question or self._ask(directory)
        if not question.known.wait(seconds):
            return False
        self._settle(question)  # here and now: many may be asked for in one turn
        return True

    async def answered(self, directory: bytes) -> None:
        """Returns once it is known whether one can go there, whatever the answer: the start tells it. Raises Problem
        (`internal-error`) where too many have not answered."""
        question = self._asked.get(directory) or self._ask(directory)
        await question.came.wait()

    def _ask(self, directory: bytes) -> _Question:
        if len(self._asked) >= self._most:
            self._log.limit("file_threads", self._most)
            raise Problem(INTERNAL_ERROR, f"{self._most} directories have not answered (file_threads)")
        question = _Question(directory)
        if not self._is_kept:
            try:
                # The kernel cannot be interrupted: what hangs there must not hold up the end of the process.
                threading.Thread(target=self._work, name="directory", daemon=True).start()
            except RuntimeError:  # no thread is left: it is gone to as it is
                question.known.set()
                question.came.set()
                return question
        self._is_kept = False
        self._asked[directory] = question
        self._queue.put(question)
        return question

    def _work(self) -> None:
        """The life of a thread."""
        while question := self._queue.get():
            with suppress(OSError, ValueError):
                os.access(question.directory, os.X_OK, effective_ids=True)
            question.known.set()
            try:
                self._loop.call_soon_threadsafe(self._settle, question)
            except RuntimeError:  # the loop is closed: the session has ended meanwhile
                return

    def _settle(self, question: _Question) -> None:
        """It has answered. Harmless a second time."""
        if question.came.is_set():
            return
        del self._asked[question.directory]
        question.came.set()
        if self._is_kept:
            self._queue.put(None)  # one is enough
        self._is_kept = True
