"""`cpu.basic.*`, `cpu.core.*`: /proc/stat."""

from typing import Final

from .reader import Reader
from .values import Sample, whole

PATH: Final = "/proc/stat"
ALL: Final = ""  # the line of all CPUs together

_FIELDS: Final = {"user": 1, "nice": 2, "system": 3, "iowait": 5}
_MILLISECONDS: Final = 10  # USER_HZ is 100 wherever Linux runs


def parse(text: str) -> dict[str, dict[str, int]]:
    """CPU ("0", "1", ...; ALL) -> field -> milliseconds. Raises ValueError."""
    times: dict[str, dict[str, int]] = {}
    for line in text.split("\n"):
        if not line.startswith("cpu"):
            break  # they come first
        fields = line.split()
        if len(fields) <= 5:
            raise ValueError(f"expected at least five numbers, found {line[:80]!r}")
        times[fields[0][3:]] = {name: _MILLISECONDS * whole(fields[at]) for name, at in _FIELDS.items()}
    if ALL not in times:
        raise ValueError(f'expected a line "cpu", found {text[:40]!r}')
    return times


class Cpu:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def sample(self, names: frozenset[str]) -> Sample:
        times = self._reader.parsed(PATH, parse)
        if times is None:
            return {}
        every = times.pop(ALL)
        sample: Sample = {f"cpu.basic.{field}": value for field, value in every.items()}
        for field in _FIELDS:
            sample[f"cpu.core.{field}"] = {core: fields[field] for core, fields in times.items()}
        return sample
