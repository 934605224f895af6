"""Host keys, as lines of known_hosts: `name algorithm base64`."""

import base64
import binascii
import re
from typing import Final, NamedTuple

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

_LINES: Final = 16
_BYTES: Final = 16 << 10
_ALGORITHM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@-]*")


class HostKey(NamedTuple):
    """A public key and the name that it was written down for."""

    name: str
    algorithm: str
    base64: str

    @property
    def line(self) -> str:
        return f"{self.name} {self.algorithm} {self.base64}"

    @property
    def fingerprint(self) -> str:
        import hashlib  # OpenSSL, which few connections need here

        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read_keys(text: str) -> list[HostKey]:
    """The lines of an open's `host-key`. Raises Problem (`protocol-error`) that names the line."""
    if len(text.encode("utf-8", "surrogatepass")) > _BYTES:
        raise Problem(PROTOCOL_ERROR, f'"host-key" of the open: expected at most {_BYTES} bytes')
    lines = [line for line in text.split("\n") if line.strip()]
    if not 0 < len(lines) <= _LINES:
        raise Problem(PROTOCOL_ERROR, f'"host-key" of the open: expected 1 to {_LINES} lines, found {len(lines)}')
    keys = []
    for number, line in enumerate(lines, 1):
        key = read_key(line)
        if key is None:
            raise Problem(
                PROTOCOL_ERROR,
                f'"host-key" of the open, line {number}: expected a name, an algorithm and a key in base64',
            )
        keys.append(key)
    return keys


def read_key(line: str) -> HostKey | None:
    """One line of known_hosts without a marker or a comment; None for anything else."""
    words = line.split()
    if len(words) != 3 or words[0].startswith(("@", "#")) or not line.isascii() or not line.isprintable():
        return None
    key = HostKey(*words)
    try:
        blob = base64.b64decode(key.base64, validate=True)
    except binascii.Error:
        return None
    # A key tells its algorithm itself, as a string with its length before it.
    told = key.algorithm.encode()
    if not _ALGORITHM.fullmatch(key.algorithm) or blob[: 4 + len(told)] != len(told).to_bytes(4) + told:
        return None
    return key


def known_hosts(keys: list[HostKey]) -> str:
    """A file that trusts these keys, and no other, whatever the host is called."""
    return "".join(f"* {key.algorithm} {key.base64}\n" for key in keys)
