"""The front end, as the payloads use it: who may send when, and who is not read meanwhile. `wire/front.py` is it."""

from collections.abc import Callable
from typing import Protocol

from ..wire.source import Source


class FrontEnd(Protocol):
    """What is sent goes through the `Port` of a channel, but for what the kernel moves."""

    @property
    def takes(self) -> bool:
        """Whether what is sent goes out at once."""

    def turn(self, go_on: Callable[[], None], /) -> bool:
        """Whether it takes data now. If not, `go_on` is called, once, when it is worth asking again."""

    def load(self, head: bytes, source: Source, count: int, /) -> int:
        """One frame, of which `head` is at hand and the rest lies in `source`. How many bytes were lost."""

    def block(self, who: object, /) -> None:
        """Read the front end no more until `unblock`."""

    def unblock(self, who: object, /) -> None:
        """Harmless where `who` does not block."""
