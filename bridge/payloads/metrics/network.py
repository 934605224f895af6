"""`network.interface.*`, `network.all.*`: /proc/net/dev of the bridge's own network namespace."""

from typing import Final

from .reader import Reader
from .values import Sample, whole

PATH: Final = "/proc/self/net/dev"

_HEADING_LINES: Final = 2
_RX, _TX, _FIELDS = 0, 8, 16


def parse(text: str) -> dict[str, tuple[int, int]]:
    """Interface -> bytes received and sent. Raises ValueError."""
    lines = text.splitlines()
    if len(lines) < _HEADING_LINES:
        raise ValueError(f"expected a heading of two lines, found {text[:40]!r}")
    counters = {}
    for line in lines[_HEADING_LINES:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if len(fields) < _FIELDS:
            raise ValueError(f'expected "name: " and 16 numbers, found {line[:80]!r}')
        counters[name.strip()] = whole(fields[_RX]), whole(fields[_TX])
    return counters


class Network:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def sample(self, names: frozenset[str]) -> Sample:
        counters = self._reader.parsed(PATH, parse)
        if counters is None:
            return {}
        return {
            "network.interface.rx": {name: rx for name, (rx, _) in counters.items()},
            "network.interface.tx": {name: tx for name, (_, tx) in counters.items()},
            "network.all.rx": sum(rx for rx, _ in counters.values()),
            "network.all.tx": sum(tx for _, tx in counters.values()),
        }
