"""What was told of the entries of a directory, in little room: enough to see which attributes are others now."""

from collections.abc import Container, Sequence
from typing import Any, Final

from .attributes import Attributes

_BYTES: Final = 8  # of each attribute
_MASK: Final = (1 << 64) - 1
_ABSENT: Final = 0x9E37_79B9_7F4A_7C15.to_bytes(_BYTES, "little")


class Digest:
    """By name, a hash of each of the attributes `names` as they were told last."""

    __slots__ = ("_names", "_told")

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._told: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._told)

    def __contains__(self, name: str) -> bool:
        return name in self._told

    def note(self, name: str, now: Attributes | None) -> Attributes | bool | None:
        """`name` is so now, None: gone. What is to be told of that, as a merge patch; False: nothing."""
        if now is None:
            return False if self._told.pop(name, None) is None else None
        digest = self._of(now)
        before = self._told.get(name)
        if before == digest:
            return False
        self._told[name] = digest
        if before is None:
            return now
        return {
            each: now.get(each)
            for place, each in enumerate(self._names)
            if before[place * _BYTES : (place + 1) * _BYTES] != digest[place * _BYTES : (place + 1) * _BYTES]
        }

    def missing(self, seen: Container[str]) -> list[str]:
        """Those of which nothing is in `seen`."""
        return [name for name in self._told if name not in seen]

    def clear(self) -> None:
        self._told.clear()

    def _of(self, now: Attributes) -> bytes:
        return b"".join([_hash(now[name]) if name in now else _ABSENT for name in self._names])


def _hash(value: Any) -> bytes:
    return (hash(value) & _MASK).to_bytes(_BYTES, "little")
