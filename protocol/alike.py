"""Control messages that differ from the last one in their channel alone, recognised by their bytes.

A front end opens many channels with the same members, and a helper says `ready` of each. What such a message says is
known but for its channel, which can be cut out of it: to decode it takes longer than all else that is done with it.
"""

import string
from typing import Final

_PLAIN: Final = (string.ascii_letters + string.digits + "!#+-./:=@_~").encode()
"""What most ids consist of, and JSON writes in one way only, more or less. No comma: between the quotes of an id lies
nothing that could lie between two strings."""

_LONGEST: Final = 4_096
"""A longer message is not kept."""


class Alike:
    """The last message that was decoded. Two in a row show what is around the channel."""

    __slots__ = ("_after", "_before", "_begin", "_end", "_last", "_quoted")

    def __init__(self) -> None:
        self._last = b""
        self._quoted = b""  # its channel as it is written
        self._before = b""  # what comes before the channel; empty while that is not known
        self._after = b""
        self._begin = self._end = 0  # where the channel lies, the end counted from the message's

    def channel(self, payload: bytes) -> bytes:
        """The channel of a message that differs from the last one in nothing else; empty for any other, and for an id
        that is not as plain as most."""
        if not self._before or not payload.startswith(self._before) or not payload.endswith(self._after):
            return b""
        ident = payload[self._begin : self._end]
        return b"" if ident.translate(None, _PLAIN) else ident

    def note(self, payload: bytes, ident: bytes) -> None:
        """Another message was decoded, and is of channel `ident`.

        Where it is the last one with another channel in the place of the last one's, that place is the channel's:
        nothing else would have changed what was decoded.
        """
        last, quoted = self._last, self._quoted
        if payload == last:
            return
        if len(payload) > _LONGEST:
            self.forget()
            return
        self._last, self._quoted = payload, b'"%b"' % ident
        self._before = b""
        if last.count(quoted) == 1 and last.replace(quoted, self._quoted) == payload and quoted != self._quoted:
            begin, _, end = last.partition(quoted)
            self._before, self._after = begin + b'"', b'"' + end
            self._begin, self._end = len(self._before), -len(self._after)

    def forget(self) -> None:
        """There is no last one."""
        self._last = self._quoted = self._before = b""
