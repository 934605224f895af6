"""Which text is a name on a bus (D-Bus Specification, "Valid Names")."""

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 255

_WELL_KNOWN: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+")
_UNIQUE: Final = re.compile(r":[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
_INTERFACE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_MEMBER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_bus_name(text: str) -> bool:
    """Whether it is the name of a peer: well-known, or unique as `:1.5`."""
    return _is(_UNIQUE if text.startswith(":") else _WELL_KNOWN, text)


def is_interface(text: str) -> bool:
    """Whether it is the name of an interface, or of an error: they look alike."""
    return _is(_INTERFACE, text)


def is_member(text: str) -> bool:
    """Whether it is the name of a method or a signal."""
    return _is(_MEMBER, text)


def _is(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= LONGEST and _matches(pattern, text)


@lru_cache(maxsize=1_024)  # the same few names come again and again
def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is not None
