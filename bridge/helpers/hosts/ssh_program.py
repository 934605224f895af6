"""Which ssh there is: asked once in a session, since an option that it does not know ends it."""

from collections.abc import Mapping
from typing import Final

import anyio

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...wire.context import Context
from ..process import SpawnError
from .brief_run import run_briefly
from .ssh_command import Version, read_version

_SECONDS: Final = 5.0


class SshProgram:
    """`ssh` as found through the PATH of `environ`."""

    __slots__ = ("_context", "_environ", "_lock", "_version")

    def __init__(self, context: Context, environ: Mapping[str, str]) -> None:
        self._context = context
        self._environ = environ
        self._version: Version | None = None
        self._lock = anyio.Lock()

    async def version(self) -> Version:
        """One that does not tell is taken for old. Raises Problem (`internal-error`) where there is no such program."""
        async with self._lock:
            if self._version is None:
                try:
                    said = await run_briefly(self._context, ["ssh", "-V"], self._environ, _SECONDS)
                except SpawnError as error:
                    raise Problem(INTERNAL_ERROR, f"{error}: the OpenSSH client is needed here") from None
                self._version = read_version(said)
            return self._version
