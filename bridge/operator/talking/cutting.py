"""What is read from stdin, cut into the payloads of frames."""

from typing import Final

LINE_BYTES: Final = 16 << 20
"""A line that is longer goes out in parts."""


class Cutter:
    """Cuts a stream: as it was read, but between two characters; or, with `by_line`, a payload for each line.

    `text`: it is UTF-8, whose characters are not split. `line_end`: what each line has at its end instead of its own.
    """

    __slots__ = ("_by_line", "_left", "_line_end", "_text")

    def __init__(self, *, by_line: bool, line_end: bytes, text: bool) -> None:
        self._by_line = by_line
        self._line_end = line_end
        self._text = text
        self._left = b""  # the beginning of a line, or of a character

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` makes whole."""
        data = self._left + data
        if self._by_line:
            *lines, self._left = data.split(b"\n")
            payloads = [line + self._line_end for line in lines]
            if len(self._left) > LINE_BYTES:
                payloads.append(self._left)
                self._left = b""
            return payloads
        stop = _whole_characters(data) if self._text else len(data)
        self._left = data[stop:]
        return [data[:stop]] if stop else []

    def end(self) -> list[bytes]:
        """What is left at the end of the stream."""
        left, self._left = self._left, b""
        return [left] if left else []


def _whole_characters(data: bytes) -> int:
    """Where the UTF-8 character begins that goes on behind `data`; its length where there is none."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if needed > back else len(data)
        if byte < 0x80:
            break
    return len(data)
