"""Text in pieces that hold whole characters."""

import codecs
from collections.abc import Generator, Iterable
from typing import Final

HELD_BYTES: Final = 3
"""How much longer than what went in a piece that comes out may be: a character that was not whole before."""


class NotTextError(ValueError):
    """The data is not UTF-8."""


def whole_characters(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same bytes, cut between characters. Raises NotTextError where they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    try:
        for piece in pieces:
            text = decoder.decode(piece)
            offset += len(piece)
            if text:
                yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise NotTextError(f"no UTF-8 near byte {offset + error.start}: {error.reason}") from None
