"""Whether a Python over there is like ours, and what it is sent (docs/hosts.md, "What the other machine needs")."""

import os
import subprocess
import sys
from typing import Final

import anyio
import anyio.to_thread

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

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
    """This program, packed once in a session and kept in a memory file. `seconds`: how long packing may take."""

    __slots__ = ("_fd", "_lock", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._fd = -1
        self._seconds = seconds
        self._lock = anyio.Lock()

    async def read(self) -> bytes:
        """All that a Python over there reads. Raises Problem."""
        async with self._lock:
            if self._fd < 0:
                try:
                    self._fd = await anyio.to_thread.run_sync(_pack, self._seconds, abandon_on_cancel=True)
                except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # no thread left, too
                    raise Problem(INTERNAL_ERROR, f"this bridge cannot be sent: {error}") from None
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _pack(seconds: float) -> int:
    """A process of its own: what takes tenths of a second of an interpreter does not take ours. Raises OSError,
    SubprocessError."""
    fd = os.memfd_create("spanbridge-parcel")
    try:
        subprocess.run(
            [sys.executable, "-I", "-m", f"{__package__}.packing"],
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=seconds,
        )
    except BaseException:
        os.close(fd)
        raise
    return fd
