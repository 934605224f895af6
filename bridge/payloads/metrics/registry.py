"""All metrics of `source: "internal"`, and who reads them."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from .reader import Reader
from .values import Sampler


class Metric(msgspec.Struct, frozen=True):
    """What is said of a metric. `subject` is the key of SUBJECTS that reads it."""

    units: str
    semantics: Literal["counter", "instant"]
    subject: str
    instances: bool


class Subject(msgspec.Struct, frozen=True):
    """`maker` in `module` makes the Sampler. One that `blocks` is called in a thread."""

    module: str
    maker: str
    blocks: bool = False


SUBJECTS: Final[Mapping[str, Subject]] = MappingProxyType(
    {
        "cpu": Subject("cpu", "Cpu"),
        "temperature": Subject("temperature", "Temperature"),
        "memory": Subject("memory", "Memory"),
        "disk": Subject("disk", "Disk"),
        "network": Subject("network", "Network"),
        "memory groups": Subject("cgroup", "memory_groups", blocks=True),
        "cpu groups": Subject("cgroup", "cpu_groups", blocks=True),
        "processes": Subject("process_io", "ProcessIo", blocks=True),
        "mounts": Subject("mount", "Mounts", blocks=True),
    }
)
"""In the order in which they are read: what may take longest comes last."""


def _family(
    prefix: str,
    words: str,
    units: str,
    semantics: Literal["counter", "instant"],
    subject: str,
    *,
    instances: bool = False,
) -> Iterable[tuple[str, Metric]]:
    return [(prefix + word, Metric(units, semantics, subject, instances)) for word in words.split()]


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    dict(
        [
            *_family("cpu.basic.", "user nice system iowait", "millisec", "counter", "cpu"),
            *_family("cpu.core.", "user nice system iowait", "millisec", "counter", "cpu", instances=True),
            *_family("cpu.", "temperature", "celsius", "instant", "temperature", instances=True),
            *_family("memory.", "free used cached swap-used", "bytes", "instant", "memory"),
            *_family("disk.all.", "read written", "bytes", "counter", "disk"),
            *_family("disk.dev.", "read written", "bytes", "counter", "disk", instances=True),
            *_family("block.device.", "read written", "bytes", "counter", "disk", instances=True),
            *_family("network.interface.", "rx tx", "bytes", "counter", "network", instances=True),
            *_family("network.all.", "rx tx", "bytes", "counter", "network"),
            *_family("mount.", "total used", "bytes", "instant", "mounts", instances=True),
            *_family(
                "cgroup.memory.", "usage limit sw-usage sw-limit", "bytes", "instant", "memory groups", instances=True
            ),
            *_family("cgroup.cpu.", "usage", "millisec", "counter", "cpu groups", instances=True),
            *_family("cgroup.cpu.", "shares", "count", "instant", "cpu groups", instances=True),
            *_family("disk.cgroup.", "read written", "bytes", "counter", "processes", instances=True),
        ]
    )
)


def sampler(subject: str, reader: Reader) -> Sampler:
    """A new sampler; its module is imported when it is first asked for."""
    entry = SUBJECTS[subject]
    make: Callable[[Reader], Sampler] = getattr(import_module(f".{entry.module}", __package__), entry.maker)
    return make(reader)
