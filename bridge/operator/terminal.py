"""Text for people: colour on a terminal, none in a pipe."""

import os
from typing import Final, TextIO

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


class Paint:
    """Colours text when `stream` is a terminal that shows colours (https://no-color.org is heeded)."""

    def __init__(self, stream: TextIO) -> None:
        self._on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, style: str, text: str) -> str:
        """`text` in a style: bold, dim, red, green, yellow or blue."""
        return f"\33[{_CODES[style]}m{text}\33[0m" if self._on and text else text
