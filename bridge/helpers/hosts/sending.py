"""Whether a Python over there is like ours, and what it is sent (docs/hosts.md, "What the other machine needs")."""

import os
import sys
from collections.abc import Mapping
from typing import Final

import anyio

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...wire.context import Context
from ..brief_run import output
from ..process import SpawnError
from .remote_command import NOTHING_FITS

LONGEST_LINE: Final = 200
"""Bytes with which a Python may tell of itself."""
REFUSAL: Final = b"raise SystemExit(%d)\n" % NOTHING_FITS
"""What one gets that does not fit."""


def fits(told: str) -> bool:
    """Whether a Python runs what is compiled for ours. `told`: `3 11 x86_64 glibc 2.36`, what `remote_command` has it
    print; the version of the C library does not matter, a module that needs a newer one says so."""
    import platform

    library, _ = platform.libc_ver()
    ours = [*map(str, sys.version_info[:2]), os.uname().machine, library]
    return bool(library) and told.split()[: len(ours)] == ours


class Parcel:
    """This program, packed once in a session and kept in a file that has no name."""

    __slots__ = ("_context", "_directory", "_environ", "_fd", "_lock")

    def __init__(self, context: Context, environ: Mapping[str, str], directory: str) -> None:
        """`directory`: where it is packed, and nobody else may go."""
        self._context = context
        self._environ = environ
        self._directory = directory
        self._fd = -1
        self._lock = anyio.Lock()

    async def read(self) -> bytes:
        """All that a Python over there reads. Raises Problem."""
        async with self._lock:
            if self._fd < 0:
                try:
                    self._fd = await self._pack()
                except (OSError, SpawnError) as error:
                    raise Problem(INTERNAL_ERROR, f"this bridge cannot be sent: {error}") from None
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    async def _pack(self) -> int:
        """A process of its own: what takes tenths of a second of an interpreter does not take ours. Raises OSError,
        SpawnError."""
        seconds = self._context.limits.host_pack_seconds
        path = os.path.join(self._directory, "parcel")
        argv = [sys.executable, "-I", "-m", f"{__package__}.packing", path]
        said = await output(self._context, argv, self._environ, seconds)
        if said is None:
            self._context.log.limit("host_pack_seconds", seconds)
            raise OSError(f"packing timed out after {seconds:g} s (host_pack_seconds)")
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            why = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise OSError(f"packing failed: {why}") from None
        os.unlink(path)
        return fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
