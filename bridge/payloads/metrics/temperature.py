"""`cpu.temperature`: sensors below /sys/class/hwmon."""

import re
from typing import Final

from .reader import Reader
from .values import Sample, Value

HWMON: Final = "/sys/class/hwmon"
OF_CPUS: Final = frozenset({"coretemp", "cpu_thermal", "k8temp", "k10temp"})
BY_LABEL: Final = {"atk0110": "CPU Temperature"}

_INPUT: Final = re.compile(r"(temp[0-9]+)_input")  # a device has voltages and fans too


def parse(text: str) -> Value:
    """Degrees; False for a sensor that is not there, which says 0. Raises ValueError."""
    millidegrees = int(text)
    return millidegrees / 1000 if millidegrees else False


class Temperature:
    """Sensors are looked for when first asked for: they do not come and go."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._inputs = self._find()

    def sample(self, names: frozenset[str]) -> Sample:
        return {"cpu.temperature": {path: self._read(path) for path in self._inputs}}

    def _read(self, path: str) -> Value:
        value = self._reader.parsed(path, parse)
        return False if value is None else value

    def _find(self) -> list[str]:
        found = []
        for device in self._reader.names(HWMON):
            directory = f"{HWMON}/{device}"
            kind = self._line(f"{directory}/name")
            if kind not in OF_CPUS and kind not in BY_LABEL:
                continue
            for name in self._reader.names(directory):
                sensor = _INPUT.fullmatch(name)
                if sensor is None:
                    continue
                if kind in OF_CPUS or self._line(f"{directory}/{sensor[1]}_label") == BY_LABEL[kind]:
                    found.append(f"{directory}/{name}")
        return found

    def _line(self, path: str) -> str:
        try:
            return self._reader.line(path)
        except OSError:
            return ""
