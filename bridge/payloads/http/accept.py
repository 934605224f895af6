"""The handshake of a WebSocket (RFC 6455, 4.1): what is asked, and whether the answer is one (docs/http.md)."""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from spanbridge.protocol.problems import ACCESS_DENIED, AUTHENTICATION_FAILED, NOT_FOUND, PROTOCOL_ERROR, Problem

from ..served.options import Options
from .head import SWITCHING, Head
from .headers import TOKEN, Headers, add_missing
from .where import Where

_MAGIC: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

PROBLEMS: Final = {401: AUTHENTICATION_FAILED, 403: ACCESS_DENIED, 404: NOT_FOUND, 410: NOT_FOUND}
"""What another status than 101 means. All others are PROTOCOL_ERROR."""


def read_protocols(options: Options) -> list[str]:
    """The `protocols` of an open. Raises Problem (`protocol-error`)."""
    protocols = options.texts("protocols", [])
    if not all(TOKEN.fullmatch(each) for each in protocols) or len(set(protocols)) < len(protocols):
        raise options.wrong("protocols", "a list of different tokens")
    return protocols


def new_key() -> str:
    """For Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()


def handshake_headers(given: Headers, where: Where, key: str, protocols: Sequence[str]) -> Headers:
    """The headers of the request; `given` are those of the front end."""
    scheme = "http" if where.tls is None else "https"
    headers = add_missing(given, ("Host", where.host), ("Origin", f"{scheme}://{where.host}"))
    headers += [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ]
    if protocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
    return headers


def refusal(head: Head, key: str, protocols: Sequence[str]) -> Problem | None:
    """Why this answer is no WebSocket; None if it is one. The message says nothing of the server's name."""
    if head.status != SWITCHING:
        code = PROBLEMS.get(head.status, PROTOCOL_ERROR)
        return Problem(code, f"no WebSocket: {head.status} {head.reason}".rstrip())
    wrong = _wrong(head, key, protocols)
    return None if wrong is None else Problem(PROTOCOL_ERROR, f"no WebSocket: {wrong}")


def _wrong(head: Head, key: str, protocols: Sequence[str]) -> str | None:
    if head.words(b"upgrade") != [b"websocket"]:
        return "expected Upgrade: websocket"
    if b"upgrade" not in head.words(b"connection"):
        return "expected Connection: upgrade"
    if head.values(b"sec-websocket-accept") != [_accept(key)]:
        return "Sec-WebSocket-Accept does not answer the key"
    if head.values(b"sec-websocket-extensions"):
        return "an extension that nobody asked for"
    chosen = head.values(b"sec-websocket-protocol")
    if chosen and (len(chosen) > 1 or chosen[0].decode("latin-1") not in protocols):
        return "a protocol that nobody asked for"
    return None


def _accept(key: str) -> bytes:
    return base64.b64encode(hashlib.sha1(f"{key}{_MAGIC}".encode(), usedforsecurity=False).digest())
