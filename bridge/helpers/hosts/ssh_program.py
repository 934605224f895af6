"""Which ssh there is: asked once in a session, since an option that it does not know ends it."""

from collections.abc import Mapping

import anyio
from anyio.abc import TaskGroup

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...wire.context import Context
from ..brief_run import said, start
from ..process import Process, SpawnError
from .ssh_command import Version, read_version


class SshProgram:
    """`ssh` as found through the PATH of `environ`."""

    __slots__ = ("_asking", "_context", "_environ", "_tasks", "_version", "_why")

    def __init__(self, context: Context, tasks: TaskGroup, environ: Mapping[str, str]) -> None:
        self._context = context
        self._tasks = tasks
        self._environ = environ
        self._version: Version | None = None
        self._asking: anyio.Event | None = None
        self._why = ""  # there is none

    def ask(self) -> None:
        """Begin to ask, so that the answer is there when it is needed: the program has been started then."""
        if self._version is None and self._asking is None:
            try:
                process = start(self._context, ["ssh", "-V"], self._environ)
            except SpawnError as error:
                self._why = str(error)
                return
            self._asking = anyio.Event()
            self._tasks.start_soon(self._read, process, self._asking)

    async def version(self) -> Version:
        """One that does not tell is taken for old. Raises Problem (`internal-error`) where there is no such program."""
        self.ask()
        if self._asking is not None:
            await self._asking.wait()
        if self._version is None:
            raise Problem(INTERNAL_ERROR, f"{self._why}: the OpenSSH client is needed here")
        return self._version

    async def _read(self, process: Process, asking: anyio.Event) -> None:
        self._version = read_version(await said(process, self._context.limits.host_version_seconds))
        self._asking = None
        asking.set()
