"""Saying who we are to a bus, bytes in, bytes out (D-Bus Specification, "Authentication Protocol")."""

from typing import Final

from spanbridge.protocol.problems import ACCESS_DENIED, INTERNAL_ERROR, Problem

LINE_BYTES: Final = 16 << 10
"""Longest line that is taken."""


class Authentication:
    """EXTERNAL: the kernel tells the other side who we are. Then descriptors are negotiated.

    `begin` is to be sent first. `feed` takes what comes and gives what is to be sent. Once `over`, `passes_descriptors`
    tells whether they may be sent, and messages follow in both directions; `rest` is what of theirs has come already.
    """

    def __init__(self, uid: int, guid: str | None) -> None:
        """`guid`: the id that the other side must have, if it is known."""
        # Both questions at once: nobody waits between them.
        self.begin = b"\0AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\nNEGOTIATE_UNIX_FD\r\n"
        self.over = False
        self.passes_descriptors = False
        self.rest = b""
        self._guid = guid
        self._accepted = False
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Raises Problem: we are not let in, or it is no bus."""
        self._held += data
        answer = b""
        while not self.over:
            line, end, rest = self._held.partition(b"\r\n")
            if not end:
                if len(line) > LINE_BYTES:
                    raise _no_bus()
                return answer
            if len(line) > LINE_BYTES:
                raise _no_bus()
            self._held = rest
            answer += self._heed(line)
        self.rest, self._held = self._held, b""
        return answer

    def _heed(self, line: bytes) -> bytes:
        word, _, rest = line.partition(b" ")
        if self._accepted:
            if word not in (b"AGREE_UNIX_FD", b"ERROR"):
                raise _no_bus()
            self.passes_descriptors = word == b"AGREE_UNIX_FD"
            self.over = True
            return b"BEGIN\r\n"
        if word == b"DATA":
            return b"DATA\r\n"
        if word == b"REJECTED":
            raise Problem(ACCESS_DENIED, "the bus does not let this user in")
        if word != b"OK":
            raise _no_bus()
        if self._guid is not None and rest.strip().decode("ascii", "replace") != self._guid:
            raise Problem(INTERNAL_ERROR, "it has another guid than the address says")
        self._accepted = True
        return b""


def _no_bus() -> Problem:
    return Problem(INTERNAL_ERROR, "what listens there does not speak D-Bus")
