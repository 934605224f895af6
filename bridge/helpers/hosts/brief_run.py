"""A program that is run to its end, for what it leaves or says on stderr."""

import os
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from anyio import CancelScope

from ...wire.context import Context
from ..process import Process

_SAID: Final = 4_096  # bytes of its stderr that are read
_TERM_SECONDS: Final = 1.0


async def run_briefly(context: Context, argv: Sequence[str], environ: Mapping[str, str], seconds: float) -> str:
    """Start it, and what `said` tells of it. Raises SpawnError."""
    return await said(start(context, argv, environ), seconds)


def start(context: Context, argv: Sequence[str], environ: Mapping[str, str]) -> Process:
    """It runs; `said` is due. Raises SpawnError."""
    process = Process(argv, environ, None, _nothing, at_once=True, watchdog=context.watchdog, children=context.children)
    os.close(process.stdin)
    os.close(process.stdout)
    return process


async def said(process: Process, seconds: float) -> str:
    """The beginning of what it said on stderr, once it has ended or, after `seconds`, was ended."""
    try:
        with anyio.move_on_after(seconds):
            await process.exited.wait()
        try:
            return os.read(process.stderr, _SAID).decode("utf-8", "replace")
        except BlockingIOError:
            return ""
    finally:
        os.close(process.stderr)
        with CancelScope(shield=True):
            if not process.exited.is_set():
                await process.kill(_TERM_SECONDS)
            if process.exited.is_set():
                await process.end_group(_TERM_SECONDS)
            else:
                process.abandon()


def _nothing() -> None:
    """Whoever waits is told by the event."""
