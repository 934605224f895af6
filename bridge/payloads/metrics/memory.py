"""`memory.*`: /proc/meminfo."""

from typing import Final

from .reader import Reader
from .values import Sample, whole

PATH: Final = "/proc/meminfo"

_KB: Final = 1024


def parse(text: str) -> dict[str, int]:
    """Line -> bytes; lines in other units are left out. Raises ValueError."""
    sizes = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or not words:
            raise ValueError(f'expected "Name: number kB", found {line[:80]!r}')
        if words[1:] == ["kB"]:
            sizes[name] = _KB * whole(words[0])
    if not sizes:
        raise ValueError("expected lines, found none")
    return sizes


class Memory:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def sample(self, names: frozenset[str]) -> Sample:
        sizes = self._reader.parsed(PATH, parse)
        if sizes is None:
            return {}
        sample: Sample = {}
        for name, (plus, minus) in _SUMS.items():
            if all(each in sizes for each in plus + minus):
                sample[name] = sum(sizes[each] for each in plus) - sum(sizes[each] for each in minus)
        return sample


# metric -> what is added up, and what is taken off
_SUMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "memory.free": (("MemFree",), ()),
    "memory.used": (("MemTotal",), ("MemAvailable",)),
    "memory.cached": (("Buffers", "Cached"), ()),
    "memory.swap-used": (("SwapTotal",), ("SwapFree",)),
}
