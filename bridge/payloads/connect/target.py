"""Where a connection goes."""

import os
import socket

import msgspec


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A unix socket, or a host and a TCP port. As text: how messages for people name it."""

    unix: str | None = None
    """Path; lone surrogates stand for bytes that are not UTF-8."""
    kind: int = socket.SOCK_STREAM
    """Of a unix socket: SOCK_STREAM or SOCK_SEQPACKET."""
    address: str = "localhost"
    """Host name, or IP literal (IPv6 without brackets)."""
    port: int = 0

    def __str__(self) -> str:
        if self.unix is not None:
            return os.fsencode(self.unix).decode(errors="replace")
        name = f"[{self.address}]" if ":" in self.address else self.address
        return f"{os.fsencode(name).decode(errors='replace')}:{self.port}"
