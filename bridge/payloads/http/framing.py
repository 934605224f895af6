"""Where the body of an answer ends (RFC 9112, 6.3)."""

from typing import Final, Protocol

from .chunked import Chunked
from .head import Head

NO_BODY: Final = frozenset({204, 304})
_ENDLESS: Final = 1 << 62

Pieces = list[bytes | memoryview]


class Framing(Protocol):
    """Tells the body from what is around it."""

    left: int
    """Bytes of the body that come next, before anything else, as far as is known."""

    @property
    def over(self) -> bool:
        """Whether the body is whole."""

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body."""

    def feed(self, data: bytes) -> tuple[Pieces, bytes]:
        """The pieces of the body in `data`, and what follows on its end."""

    def moved(self, nbytes: int) -> None:
        """So many of the bytes that are `left` came another way."""


class Length:
    """A body of known length."""

    __slots__ = ("left",)

    ends_with_connection: Final = False

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def over(self) -> bool:
        return not self.left

    def feed(self, data: bytes) -> tuple[Pieces, bytes]:
        if len(data) <= self.left:
            self.left -= len(data)
            return [data], b""
        view, length = memoryview(data), self.left
        self.left = 0
        return [view[:length]], data[length:]

    def moved(self, nbytes: int) -> None:
        self.left -= nbytes


class Chunks(Chunked):
    """A body in chunks."""

    __slots__ = ()

    ends_with_connection: Final = False


class ToTheEnd:
    """A body that goes on to the end of the connection."""

    __slots__ = ("left",)

    ends_with_connection: Final = True
    over: Final = False

    def __init__(self) -> None:
        self.left = _ENDLESS

    def feed(self, data: bytes) -> tuple[Pieces, bytes]:
        return [data], b""

    def moved(self, nbytes: int) -> None:
        """There are as many left as before."""


def framing_of(head: Head, method: str, server: object) -> Framing:
    """How the body of the answer to a request with `method` is told from what is around it."""
    if method.upper() == "HEAD" or head.status in NO_BODY:
        return Length(0)
    if head.chunked:
        return Chunks(server)
    return ToTheEnd() if head.length is None else Length(head.length)
