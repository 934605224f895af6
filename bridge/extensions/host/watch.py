"""What is looked at from time to time: the memory and files of extensions, and their alerts."""

import asyncio
import os
from typing import Final

from ..life.extension import Extension
from ..life.life import Life
from ..life.parts import Parts
from ..process.process import Process
from ..services.alert_engine import EVERY_SECONDS as ALERTS_SECONDS

_SWEEP_SECONDS: Final = 10.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


async def sweep(parts: Parts, life: Life) -> None:
    """End whatever takes more memory or room on disk than it may. Until it is cancelled."""
    limits = parts.limits
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        running = [each for each in life.extensions.values() if each.processes]
        for extension in running:
            for process in extension.processes:
                if resident_bytes(process.pid) > limits.extension_memory_bytes:
                    _end(parts, extension, process, "memory", "extension_memory_bytes")
        if running:
            most = limits.extension_files_bytes
            places = [parts.files_of(each.name) for each in running]
            sizes = await asyncio.to_thread(_sizes, places, most)
            for extension, size in zip(running, sizes, strict=True):
                for process in extension.processes if size > most else ():
                    _end(parts, extension, process, "files", "extension_files_bytes")


def _end(parts: Parts, extension: Extension, process: Process, of: str, limit: str) -> None:
    most = getattr(parts.limits, limit)
    parts.log.limit(limit, most, extension=extension.name)
    process.kill(f"over {most} bytes of {of} ({limit})")


def resident_bytes(pid: int) -> int:
    """Memory of its own that a process uses; 0: it has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


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
    """Look at the alerts of all extensions. Until it is cancelled."""
    await life.open_those_with_alerts()
    while True:
        await asyncio.sleep(ALERTS_SECONDS)
        for extension in list(life.extensions.values()):
            bench = extension.bench
            if bench is not None:
                try:
                    await asyncio.wrap_future(bench.desk.do(bench.alerts.evaluate_if_any))
                except Exception as error:  # noqa: BLE001 - of one extension: its file, or its disk
                    parts.log.error("alerts", extension=extension.name, what=str(error))
