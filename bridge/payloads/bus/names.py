"""Which text is a name on a bus (D-Bus Specification, "Valid Names")."""

import re
from typing import Final

LONGEST: Final = 255

_WELL_KNOWN: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+")
_UNIQUE: Final = re.compile(r":[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
_INTERFACE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_MEMBER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_bus_name(text: str) -> bool:
    """Whether it is the name of a peer: well-known, or unique as `:1.5`."""
    return len(text) <= LONGEST and (_UNIQUE if text.startswith(":") else _WELL_KNOWN).fullmatch(text) is not None


def is_interface(text: str) -> bool:
    """Whether it is the name of an interface, or of an error: they look alike."""
    return len(text) <= LONGEST and _INTERFACE.fullmatch(text) is not None


def is_member(text: str) -> bool:
    """Whether it is the name of a method or a signal."""
    return len(text) <= LONGEST and _MEMBER.fullmatch(text) is not None
