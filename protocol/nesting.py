"""How deep lists and objects of a JSON text nest: bounded by us, since what a decoder takes differs from one Python to
the next, and what it refuses it may refuse by running out of stack."""

from typing import Final

DEEPEST: Final = 500
"""Levels of a control message."""

# A string without an end matches up to the end of the text: were it skipped instead, each quote after it would be tried
# as another start, and a control message of them would take days.
_TOKEN: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]'


def too_deep(text: bytes, most: int = DEEPEST) -> bool:
    """Whether lists and objects nest deeper than `most` levels. Of what is no JSON it says something."""
    # Counting brackets is much cheaper than looking, and most messages have fewer than are allowed to nest.
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    import re

    depth = 0
    for token in re.finditer(_TOKEN, text, re.DOTALL):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > most:
                return True
        elif first in b"]}":
            depth -= 1
    return False
