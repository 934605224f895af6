"""What is looked at from time to time: the memory and files of extensions, and their alerts."""

import asyncio
import os
from typing import Final

from ..life.extension import Extension
from ..life.life import Life
from ..life.parts import Parts
from ..process.launcher import CannotStart
from ..services.alert_engine import EVERY_SECONDS as ALERTS_SECONDS

_SWEEP_SECONDS: Final = 10.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


async def sweep(parts: Parts, life: Life) -> None:
    """End whatever takes more memory or room on disk than it may. Until it is cancelled."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        for extension in list(life.extensions.values()):
            if extension.processes:
                await _weigh(parts, extension)


async def _weigh(parts: Parts, extension: Extension) -> None:
    most = parts.limits.extension_memory_bytes
    for process in extension.processes:
        if resident_bytes(process.pid) > most:
            parts.log.limit("extension_memory_bytes", most, extension=extension.name)
            process.kill(f"over {most} bytes of memory (extension_memory_bytes)")
    most = parts.limits.extension_files_bytes
    if await asyncio.to_thread(bytes_below, parts.files_of(extension.name), most) > most:
        parts.log.limit("extension_files_bytes", most, extension=extension.name)
        for process in extension.processes:
            process.kill(f"over {most} bytes in its files (extension_files_bytes)")


def resident_bytes(pid: int) -> int:
    """Memory of its own that a process uses; 0: it has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


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
    await open_those_with_alerts(parts, life)
    while True:
        await asyncio.sleep(ALERTS_SECONDS)
        for extension in list(life.extensions.values()):
            bench = extension.bench
            if bench is not None:
                try:
                    await asyncio.wrap_future(bench.desk.do(bench.alerts.evaluate_if_any))
                except Exception as error:  # noqa: BLE001 - of one extension: its file, or its disk
                    parts.log.error("alerts", extension=extension.name, what=str(error))


async def open_those_with_alerts(parts: Parts, life: Life) -> None:
    """Alerts are looked at, and listed, from the start of the host on, whether their extension runs or not."""
    for extension in list(life.extensions.values()):
        if extension.bench is None and parts.has_metrics(extension.name):
            try:
                await extension.open()
            except (CannotStart, OSError) as error:
                parts.log.error("alerts", extension=extension.name, what=str(error))
