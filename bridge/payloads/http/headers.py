"""Headers: what the front end may send, what the bridge adds, what is passed on of an answer (docs/http.md)."""

import re
from collections.abc import Iterable
from typing import Final

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..served.options import Options
from .owned import OWNED, OWNED_ON_TEXT

Headers = list[tuple[str, str]]

WEBSOCKET_PREFIX: Final = "sec-websocket-"

LEFT_OUT: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"trailer", b"upgrade"})
"""Of an answer: what is about the connection, and not for the front end."""

LEFT_OUT_ON_TEXT: Final = LEFT_OUT | {b"content-length", b"range"}

TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_TOLD: Final = 80  # characters of a name that a message shows


def read_headers(options: Options, *, text: bool, websocket: bool = False) -> Headers:
    """The headers that the front end gives, names as it writes them. Raises Problem (`protocol-error`)."""
    found = options.members("headers", None)
    if found is None:
        return []
    headers: Headers = []
    seen: set[str] = set()
    for name in found.all_names:
        lower = name.lower()
        if not TOKEN.fullmatch(name):
            raise _wrong(options, f"expected names of headers, found {name[:_TOLD]!r}")
        if lower in OWNED or (text and lower in OWNED_ON_TEXT) or (websocket and lower.startswith(WEBSOCKET_PREFIX)):
            raise _wrong(options, f"{name[:_TOLD]!r} is for the bridge alone to send")
        if lower in seen:
            raise _wrong(options, f"{name[:_TOLD]!r} is there twice")
        seen.add(lower)
        headers.append((name, _value(options, found, name)))
    return headers


def _value(options: Options, found: Options, name: str) -> str:
    value = found.text(name)
    if _CONTROL.search(value):
        raise _wrong(options, f"{name[:_TOLD]!r} has a control character in its value")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(options, f"{name[:_TOLD]!r} has half a character in its value") from None
    return value.strip(" \t")


def _wrong(options: Options, what: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f'"headers" of {options.text("payload", "")}: {what}')


def add_missing(headers: Headers, *others: tuple[str, str]) -> Headers:
    """With those of `others` that `headers` does not have."""
    there = {name.lower() for name, _ in headers}
    return [*(other for other in others if other[0].lower() not in there), *headers]


def text_of(raw: bytes) -> str:
    """Bytes of a head as text: UTF-8, or else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def passed_on(raw: Iterable[tuple[bytes, bytes]], *, text: bool) -> dict[str, str]:
    """The headers of an answer, for the front end: each name once, as the server wrote it first."""
    left_out = LEFT_OUT_ON_TEXT if text else LEFT_OUT
    names: dict[bytes, str] = {}
    told: dict[str, str] = {}
    for name, value in raw:
        lower = name.lower()
        if lower in left_out:
            continue
        first = names.get(lower)
        if first is None:
            first = names[lower] = name.decode("ascii")
            told[first] = text_of(value)
        else:
            told[first] += f", {text_of(value)}"
    return told
