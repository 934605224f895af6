"""`cgroup.memory.*`, `cgroup.cpu.*`: the tree of control groups, version 2 or 1."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from .reader import Reader
from .values import Sample, Value, whole

TREE: Final = "/sys/fs/cgroup"
VERSION_2: Final = f"{TREE}/cgroup.controllers"

_NO_LIMIT: Final = 1 << 62  # version 1 writes the largest number of pages
_NS: Final = 1_000_000
_US: Final = 1_000


def number(text: str) -> Value:
    """Raises ValueError."""
    return whole(text)


def limit(text: str) -> Value:
    """False where there is none. Raises ValueError."""
    value = text != "max" and whole(text)
    return False if value > _NO_LIMIT else value


def nanoseconds(text: str) -> Value:
    """Milliseconds. Raises ValueError."""
    return whole(text) // _NS


def cpu_stat(text: str) -> Value:
    """Milliseconds of `usage_usec` of a cpu.stat. Raises ValueError."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec":
            return whole(value) // _US
    raise ValueError("expected a line usage_usec, found none")


class File(msgspec.Struct, frozen=True):
    """Where a metric of a group is: in version 1 below a directory for the controller."""

    tree: str
    name: str
    parse: Callable[[str], Value]


FILES_2: Final[Mapping[str, File]] = {
    "cgroup.memory.usage": File(TREE, "memory.current", number),
    "cgroup.memory.limit": File(TREE, "memory.max", limit),
    "cgroup.memory.sw-usage": File(TREE, "memory.swap.current", number),
    "cgroup.memory.sw-limit": File(TREE, "memory.swap.max", limit),
    "cgroup.cpu.usage": File(TREE, "cpu.stat", cpu_stat),
    "cgroup.cpu.shares": File(TREE, "cpu.weight", number),
}

FILES_1: Final[Mapping[str, File]] = {
    "cgroup.memory.usage": File(f"{TREE}/memory", "memory.usage_in_bytes", number),
    "cgroup.memory.limit": File(f"{TREE}/memory", "memory.limit_in_bytes", limit),
    "cgroup.memory.sw-usage": File(f"{TREE}/memory", "memory.memsw.usage_in_bytes", number),
    "cgroup.memory.sw-limit": File(f"{TREE}/memory", "memory.memsw.limit_in_bytes", limit),
    "cgroup.cpu.usage": File(f"{TREE}/cpuacct", "cpuacct.usage", nanoseconds),
    "cgroup.cpu.shares": File(f"{TREE}/cpu", "cpu.shares", number),
}


class Cgroup:
    """Metrics whose names begin alike have the same groups: those that any of their trees has."""

    def __init__(self, reader: Reader, prefix: str) -> None:
        self._reader = reader
        self._prefix = prefix

    def sample(self, names: frozenset[str]) -> Sample:
        files = FILES_2 if self._reader.exists(VERSION_2) else FILES_1
        trees = {file.tree for name, file in files.items() if name.startswith(self._prefix)}
        groups = {group for tree in trees for group in self._groups(tree)}
        return {name: {group: self._read(files[name], group) for group in groups} for name in names}

    def _read(self, file: File, group: str) -> Value:
        try:
            # A cpu.stat has its usage in the first line, and all of it comes at one read.
            return file.parse(self._reader.line(f"{file.tree}/{group}/{file.name}"))
        except OSError:  # the group has gone, or has no such controller
            return False
        except ValueError as error:
            self._reader.failures[f"{file.tree}/{group}/{file.name}"] = str(error)
            return False

    def _groups(self, tree: str) -> Iterator[str]:
        """All groups but the root, parents first."""
        below = [""]
        while below:
            parent = below.pop()
            try:
                entries = os.scandir(f"{self._reader.root}{tree}/{parent}")
            except OSError:  # it has gone
                continue
            with entries:
                inner = [f"{parent}{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
            yield from inner
            below += [f"{group}/" for group in inner]


def memory_groups(reader: Reader) -> Cgroup:
    return Cgroup(reader, "cgroup.memory.")


def cpu_groups(reader: Reader) -> Cgroup:
    return Cgroup(reader, "cgroup.cpu.")
