"""The end of a helper's process, in steps, each given its time (docs/protocol.md, "Helpers")."""

import anyio

from ..limits import Limits
from ..log import Log
from ..wire.link import Link
from .process import Running
from .stderr import Stderr


async def stop(
    process: Running, link: Link, stderr: Stderr, limits: Limits, log: Log, name: str, *, wait: bool
) -> None:
    """End and reap the process, and whatever it started in its group. Both descriptors are closed then.

    `wait`: its stdin has been closed, or is about to be, and it may exit of itself.
    """
    if wait:
        with anyio.move_on_after(limits.exit_seconds):
            await process.exited.wait()
        link.close_out()
    if not await process.stop(limits.term_seconds):
        log.limit("term_seconds", limits.term_seconds, helper=name)
        await process.kill(limits.term_seconds)
    link.close()
    if not process.exited.is_set():  # it runs as somebody whom we may not signal
        log.error("helper-left-behind", helper=name, pid=process.pid)
        process.abandon()
    stderr.drain()
    stderr.close()
    if not process.exited.is_set():
        return
    log.info("helper-ended", helper=name, pid=process.pid, how=process.end)
    await process.end_group(limits.term_seconds)
