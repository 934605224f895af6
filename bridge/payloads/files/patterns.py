"""Shell patterns for names: `*`, `?`, `[...]`, `[!...]`. Case counts, and a dot is a character like any other."""

import fnmatch
import re
from collections.abc import Callable
from typing import Final

EVERY: Final = "*"
LONGEST: Final = 1_024
"""Characters. Names have 255 bytes at most, and what long patterns take to be read grows with the square."""

Matches = Callable[[str], object]


def matcher(pattern: str) -> Matches:
    """Whether a name fits; what it gives is true or false."""
    if pattern == EVERY:
        return _always
    return re.compile(fnmatch.translate(pattern)).match


def _always(name: str) -> bool:
    return True
