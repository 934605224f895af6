"""`mount.*`: the file systems of /proc/self/mounts."""

import os
import re
from typing import Final, NamedTuple

from .reader import Reader
from .statvfs import Prober
from .values import Sample, Value

PATH: Final = "/proc/self/mounts"

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
_REVOKEFS: Final = "revokefs-fuse"  # what flatpak mounts for a moment


class Mount(NamedTuple):
    source: str
    point: str
    kind: str
    options: frozenset[str]


def parse(text: str) -> list[Mount]:
    """All mounts, in order. Raises ValueError."""
    mounts = []
    for line in text.split("\n"):  # other ends of lines may stand in a name
        if not line:
            continue
        fields = line.split(" ")
        if len(fields) < 6:
            raise ValueError(f"expected six words, found {line[:80]!r}")
        source, point, kind = map(_unescape, fields[:3])
        mounts.append(Mount(source, point, kind, frozenset(fields[3].split(","))))
    return mounts


def points(mounts: list[Mount]) -> list[str]:
    """The mount points that have a size worth telling."""
    upper = {mount.point: mount for mount in mounts}  # of two at one point the later one is seen
    return [point for point, mount in upper.items() if _counts(mount)]


def _counts(mount: Mount) -> bool:
    if not mount.source.startswith("/"):
        return False
    if mount.source.startswith("/dev/loop") and "ro" in mount.options:
        return False
    return _REVOKEFS not in (mount.kind.removeprefix("fuse."), os.path.basename(mount.source))


def _unescape(word: str) -> str:
    r"""What the kernel writes as \040 is a byte; a byte of 0x80 and more stays as it is."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word) if "\\" in word else word


class Mounts:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._prober = Prober()

    def sample(self, names: frozenset[str]) -> Sample:
        mounts = self._reader.parsed(PATH, parse)
        if mounts is None:
            return {}
        total: dict[str, Value] = {}
        used: dict[str, Value] = {}
        for point, size in self._prober.ask(points(mounts)).items():
            total[point], used[point] = size if size is not None else (False, False)
        return {"mount.total": total, "mount.used": used}
