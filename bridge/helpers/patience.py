"""How long a helper may take until its `init`, and the directory that it starts in until it answers."""

from collections.abc import Callable

import anyio

from spanbridge.protocol.problems import TIMEOUT, Problem

from ..wire.context import Context
from ..wire.deadline import Deadline
from ..wire.directories import Directories
from .spawn import utf8
from .way import Way


class Patience:
    """Counts while the helper's process runs, and nobody was asked something who has not answered yet. `on_over` is
    told what has not come in time."""

    __slots__ = ("_asks", "_deadline", "_is_over", "_log", "_name", "_on_over", "_runs", "_seconds", "_setting")

    def __init__(self, context: Context, name: str, way: Way | None, on_over: Callable[[str], None]) -> None:
        """`name`: of the helper, for the log; `way`: its way, if it has one, whose time it is then."""
        self._log = context.log
        self._name = name
        self._seconds = context.limits.handshake_seconds if way is None else way.seconds
        self._setting = "handshake_seconds" if way is None else "host_connect_seconds"
        self._on_over = on_over
        self._deadline = Deadline(context.loop, self._says_nothing)
        self._runs = True  # the process; or there is none yet
        self._asks = False
        self._is_over = False

    async def answered(self, directories: Directories, directory: str) -> None:
        """Wait for the directory. Raises Problem."""
        with anyio.move_on_after(self._seconds) as scope:
            await directories.answered(utf8(directory))
        if scope.cancelled_caught:
            self._log.limit(self._setting, self._seconds, helper=self._name)
            why = f"no answer within {self._seconds:g} s ({self._setting})"
            raise Problem(TIMEOUT, f"working directory {directory}: {why}")

    def started(self, *, runs: bool) -> None:
        """There is a process; if it does not run yet, `begun` is to follow."""
        self._runs = runs
        if runs:
            self._deadline.begin(self._seconds)

    def begun(self) -> None:
        self._runs = True
        self._count()

    def asks(self, open_questions: int) -> None:
        self._asks = bool(open_questions)
        self._count()

    def _count(self) -> None:
        if self._asks or not self._runs:
            self._deadline.end()
        elif not self._deadline.runs and not self._is_over:
            self._deadline.begin(self._seconds)

    def pause(self) -> None:
        """It has exited, and why is found out: that has a limit of its own."""
        self._deadline.end()

    def end(self) -> None:
        """The `init` has come, or is of no interest any more."""
        self._is_over = True
        self._deadline.end()

    def _says_nothing(self) -> None:
        self._log.limit(self._setting, self._seconds, helper=self._name)
        self._on_over(f"sent no init within {self._seconds:g} s")
