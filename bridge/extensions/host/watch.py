"""What is looked at from time to time: the memory and files of extensions, and their alerts."""

import asyncio
import contextlib
import os
import re
from typing import Final, NamedTuple

from ..life.extension import Extension
from ..life.life import Life
from ..life.parts import Parts
from ..process.launcher import CannotStart
from ..process.process import Process

_SELDOM: Final = 16  # times as long, at most, where all sleep
_USED: Final = re.compile(rb"^(RssAnon|RssShmem|Threads):\s+(\d+)", re.MULTILINE)


async def sweep(parts: Parts, life: Life) -> None:
    """End whatever takes more memory or room on disk than it may. Until it is cancelled.

    While no process is there nobody looks. Where all have slept since the last look, the next comes after twice the
    time, or once one of them has something to do.
    """
    loop = asyncio.get_running_loop()
    seconds, looked = parts.limits.extension_look_seconds, loop.time()
    ran: dict[int, bytes] = {}
    while True:
        running = [each for each in life.extensions.values() if each.processes]
        parts.stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(looked + seconds if running else None):
                await parts.stirred.wait()
                seconds = parts.limits.extension_look_seconds
                looked = looked if running else loop.time()
                continue
        before, ran = ran, {process.pid: ran_so_far(process.pid) for each in running for process in each.processes}
        awake = [each for each in running if any(ran.get(it.pid) != before.get(it.pid) for it in each.processes)]
        often = parts.limits.extension_look_seconds
        seconds, looked = often if awake else min(seconds * 2, often * _SELDOM), loop.time()
        await _look_at(parts, awake)


async def _look_at(parts: Parts, running: list[Extension]) -> None:
    limits = parts.limits
    for extension in running:
        for process in extension.processes:
            used = usage_of(process.pid)
            if used.memory_bytes > limits.extension_memory_bytes:
                _end(parts, extension, process, "bytes of memory", "extension_memory_bytes")
            elif used.threads > limits.extension_threads:  # of which a user may have so many only, in all processes
                _end(parts, extension, process, "threads", "extension_threads")
    if running:
        most = limits.extension_files_bytes
        places = {each: path for each in running if (path := _files_of(parts, each))}
        sizes = await asyncio.to_thread(_sizes, list(places.values()), most)
        for extension, size in zip(places, sizes, strict=True):
            for process in extension.processes if size > most else ():
                _end(parts, extension, process, "bytes of files", "extension_files_bytes")


def _files_of(parts: Parts, extension: Extension) -> str:
    """Empty: there is something else in the place of that directory."""
    try:
        return parts.files_of(extension.name)
    except CannotStart as why:  # of one: the others are looked at
        parts.log.error("files", extension=extension.name, what=str(why))
        return ""


def ran_so_far(pid: int) -> bytes:
    """Another whenever the process has run since; of its first thread and all others."""
    try:
        return b" ".join(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[7:15])
    except OSError:
        return b""


def _read(path: str) -> bytes:
    """A small file at once. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _end(parts: Parts, extension: Extension, process: Process, of: str, limit: str) -> None:
    most = getattr(parts.limits, limit)
    parts.log.limit(limit, most, extension=extension.name)
    process.kill(f"over {most} {of} ({limit})")


class Usage(NamedTuple):
    """`memory_bytes`: that no file is behind, be it shared or not."""

    memory_bytes: int
    threads: int


def usage_of(pid: int) -> Usage:
    """What a process uses; nothing, if it has ended."""
    try:
        told = _read(f"/proc/{pid}/status")
    except OSError:
        return Usage(0, 0)
    found = {name: int(value) for name, value in _USED.findall(told)}
    return Usage((found.get(b"RssAnon", 0) + found.get(b"RssShmem", 0)) << 10, found.get(b"Threads", 0))


def _sizes(paths: list[str], most: int) -> list[int]:
    return [bytes_below(path, most) for path in paths]


def bytes_below(path: str, most: int) -> int:
    """What the files below `path` take on disk; counting ends beyond `most`."""
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except OSError:
                continue
        if total > most:
            break
    return total


async def evaluate_alerts(parts: Parts, life: Life) -> None:
    """Look at the alerts of all extensions. Until it is cancelled; while there is none, nobody looks."""
    await life.open_those_with_alerts()
    while True:
        await parts.alerts_defined.wait()
        parts.alerts_defined.clear()
        await asyncio.sleep(parts.limits.extension_alert_seconds)
        for extension in list(life.extensions.values()):
            bench = extension.bench
            if bench is not None:
                try:
                    if await asyncio.wrap_future(bench.desk.do(bench.alerts.evaluate_if_any)):
                        parts.alerts_defined.set()
                except Exception as error:  # noqa: BLE001 - of one extension: its file, or its disk
                    parts.alerts_defined.set()
                    parts.log.error("alerts", extension=extension.name, what=str(error))
