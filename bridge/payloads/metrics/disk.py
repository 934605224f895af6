"""`disk.dev.*`, `disk.all.*`, `block.device.*`: /proc/diskstats."""

import re
from typing import Final, NamedTuple

from .reader import Reader
from .values import Sample, whole

PATH: Final = "/proc/diskstats"
CLASS: Final = "/sys/class/block"

_SECTOR: Final = 512
_MD: Final = 9
_READ, _WRITTEN, _FIELDS = 5, 9, 14
_PARTITION: Final = re.compile(r"(?:sd|hd|vd|xvd|dasd)[a-z]+[0-9]+|.*[0-9]p[0-9]+")


class Device(NamedTuple):
    major: int
    minor: int
    name: str


def parse(text: str) -> dict[Device, tuple[int, int]]:
    """Device -> bytes read and written. Raises ValueError."""
    counters = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < _FIELDS:
            raise ValueError(f"expected two numbers, a name and eleven numbers, found {line[:80]!r}")
        device = Device(int(fields[0]), int(fields[1]), fields[2])
        counters[device] = _SECTOR * whole(fields[_READ]), _SECTOR * whole(fields[_WRITTEN])
    return counters


def partition_by_name(name: str) -> bool:
    """Whether a device is named as partitions are: sda1, nvme0n1p1."""
    return _PARTITION.fullmatch(name) is not None


class Disk:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._disks: dict[Device, bool] = {}  # those of the last sample, and whether each is a whole disk

    def sample(self, names: frozenset[str]) -> Sample:
        counters = self._reader.parsed(PATH, parse)
        if counters is None:
            return {}
        known = self._disks
        self._disks = {each: known[each] if each in known else self._is_disk(each) for each in counters}
        disks = {each.name: both for each, both in counters.items() if self._disks[each]}
        return {
            "disk.dev.read": {name: read for name, (read, _) in disks.items()},
            "disk.dev.written": {name: written for name, (_, written) in disks.items()},
            "disk.all.read": sum(read for read, _ in disks.values()),
            "disk.all.written": sum(written for _, written in disks.values()),
            "block.device.read": {each.name: read for each, (read, _) in counters.items()},
            "block.device.written": {each.name: written for each, (_, written) in counters.items()},
        }

    def _is_disk(self, device: Device) -> bool:
        """What is neither a partition nor made up of other disks, whose bytes would count twice."""
        if device.major == _MD or device.name.startswith("dm-"):
            return False
        if self._reader.exists(CLASS):
            return not self._reader.exists(f"{CLASS}/{device.name.replace('/', '!')}/partition")
        return not partition_by_name(device.name)
