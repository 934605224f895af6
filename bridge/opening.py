"""An open on its way to whoever will serve it."""

from collections.abc import Iterator
from typing import Any

from manifests.model import Rule
from protocol.frames import Span


class Opening:
    """One open that nobody has taken yet, with all that the front end has sent on its channel meanwhile.

    `frame` is the open itself; `later` are (command, span) pairs in order: a control frame with its command, or data
    with None. `size` is the bytes of all of them. `rules` are the matching rules that were not tried yet,
    `failures` what became of those that were.
    """

    __slots__ = ("failures", "frame", "ident", "later", "message", "rules", "size")

    def __init__(self, ident: bytes, frame: bytes, message: dict[str, Any], rules: Iterator[Rule]) -> None:
        self.ident = ident
        self.frame = frame
        self.message = message
        self.rules = rules
        self.failures: list[str] = []
        self.later: list[tuple[str | None, Span]] = []
        self.size = len(frame)

    def add(self, command: str | None, span: Span) -> int:
        """Keep what came for the channel; its bytes."""
        size = sum(map(len, span)) if isinstance(span, list) else len(span)
        self.later.append((command, span))
        self.size += size
        return size
