#!/usr/bin/env python3
"""A helper that tells how warm the machine is, again and again (docs/helpers.md).

On a channel it sends one JSON object each `interval` seconds (1 by default), which the front end may change with an
`options` message:

    {"time": 1700000000.0, "sensors": [{"name": "coretemp/temp1", "label": "Package id 0", "celsius": 45.5}]}

What it reads are hwmon's `temp*_input` and, where there are none, the thermal zones, below /sys or, for a try, below
the directory that TEMPERATURES_ROOT names. A front end that does not keep up misses samples; none is kept for later.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec

from spanbridge.sdk import Channel, Problem, run

INTERVAL = 1.0
LEAST, MOST = 0.01, 3600.0  # seconds


class Sensor(msgspec.Struct, frozen=True):
    name: str
    label: str
    input: Path  # its content is the temperature in thousandths of a degree


def find_sensors(root: Path) -> list[Sensor]:
    """Those of hwmon, or else the thermal zones (Linux: Documentation/ABI/testing/sysfs-class-hwmon)."""
    found = []
    for temperature in sorted(root.glob("class/hwmon/hwmon*/temp*_input")):
        name = temperature.name.removesuffix("_input")
        chip = read_word(temperature.with_name("name")) or temperature.parent.name
        found.append(Sensor(f"{chip}/{name}", read_word(temperature.with_name(f"{name}_label")), temperature))
    if not found:
        for temperature in sorted(root.glob("class/thermal/thermal_zone*/temp")):
            zone = temperature.parent
            found.append(Sensor(zone.name, read_word(zone / "type"), temperature))
    return found


def read_word(path: Path) -> str:
    """The content of a file of sysfs; nothing where it cannot be read, as a sensor that is switched off cannot."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def sample(sensors: list[Sensor]) -> dict[str, Any]:
    told = []
    for sensor in sensors:
        text = read_word(sensor.input)
        if text.removeprefix("-").isdigit():
            told.append({"name": sensor.name, "label": sensor.label, "celsius": int(text) / 1000})
    return {"time": time.time(), "sensors": told}


def wanted_interval(options: dict[str, Any], default: float) -> float:
    interval = options.get("interval", default)
    if isinstance(interval, bool) or not isinstance(interval, (int, float)) or not LEAST <= interval <= MOST:
        raise Problem("protocol-error", f'"interval": expected {LEAST:g} to {MOST:g} seconds, found {interval!r}')
    return float(interval)


class Sampler:
    """Sends samples on one channel."""

    def __init__(self, channel: Channel, sensors: list[Sensor]) -> None:
        self._channel = channel
        self._sensors = sensors
        self._interval = wanted_interval(channel.options, INTERVAL)
        self._changed = anyio.Event()

    async def send(self) -> None:
        """One each interval, counted from the first; what is late is left out."""
        due = anyio.current_time()
        while True:
            await self._channel.send_json(sample(self._sensors))
            due = max(due + self._interval, anyio.current_time())
            with anyio.move_on_after(due - anyio.current_time()):
                await self._changed.wait()
                self._changed = anyio.Event()
                due = anyio.current_time()

    async def listen(self) -> None:
        """Data means nothing to us; `options` do."""
        async for event in self._channel.events():
            if isinstance(event, dict) and event["command"] == "options":
                self._interval = wanted_interval(event, self._interval)
                self._changed.set()


async def serve(channel: Channel) -> None:
    root = Path(os.environ.get("TEMPERATURES_ROOT", "/sys"))
    sensors = find_sensors(root)
    if not sensors:
        raise Problem("not-supported", f"no temperature sensor below {root}")
    sampler = Sampler(channel, sensors)
    await channel.ready()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sampler.send)
        await sampler.listen()
        tasks.cancel_scope.cancel()
    await channel.done()


if __name__ == "__main__":
    sys.exit(run(serve))
