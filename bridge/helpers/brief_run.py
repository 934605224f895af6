"""A program that is run to its end, for what it leaves or says."""

import os
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from anyio import CancelScope

from ..wire.context import Context
from .process import Process

_SAID: Final = 4_096  # bytes of its stderr that are read
_PIPE_BYTES: Final = 64 << 10  # what one that nobody reads has room for in a pipe
_TERM_SECONDS: Final = 1.0


async def run_briefly(context: Context, argv: Sequence[str], environ: Mapping[str, str], seconds: float) -> str:
    """Start it, and what `said` tells of it. Raises SpawnError."""
    return await said(start(context, argv, environ), seconds)


async def output(context: Context, argv: Sequence[str], environ: Mapping[str, str], seconds: float) -> bytes | None:
    """What it said on stdout and stderr, as much as there is room for in pipes; None: it did not end within `seconds`.
    Raises SpawnError."""
    process = _start(context, argv, environ)
    fds = (process.stdout, process.stderr)
    try:
        await _until(process, seconds)
        return b"".join(_read(fd, _PIPE_BYTES) for fd in fds) if process.exited.is_set() else None
    finally:
        await _over(process, *fds)


def start(context: Context, argv: Sequence[str], environ: Mapping[str, str]) -> Process:
    """It runs; `said` is due. Raises SpawnError."""
    process = _start(context, argv, environ)
    os.close(process.stdout)
    return process


async def said(process: Process, seconds: float) -> str:
    """The beginning of what it said on stderr, once it has ended or, after `seconds`, was ended."""
    try:
        await _until(process, seconds)
        return _read(process.stderr, _SAID).decode("utf-8", "replace")
    finally:
        await _over(process, process.stderr)


def _start(context: Context, argv: Sequence[str], environ: Mapping[str, str]) -> Process:
    process = Process(argv, environ, None, _nothing, at_once=True, watchdog=context.watchdog, children=context.children)
    os.close(process.stdin)
    return process


async def _until(process: Process, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await process.exited.wait()


def _read(fd: int, size: int) -> bytes:
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return b""


async def _over(process: Process, *fds: int) -> None:
    """End it and what it has started, if it has not ended."""
    for fd in fds:
        os.close(fd)
    with CancelScope(shield=True):
        if not process.exited.is_set():
            await process.kill(_TERM_SECONDS)
        if process.exited.is_set():
            await process.end_group(_TERM_SECONDS)
        else:
            process.abandon()


def _nothing() -> None:
    """Whoever waits is told by the event."""
