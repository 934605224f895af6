"""The options of an open for extensions, checked before anything is done. What is wrong is a Problem that names it."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem, shown

from ...payloads.http.owned import OWNED, OWNED_ON_TEXT
from ...payloads.served.options import Options
from ...payloads.served.terms import Terms, terms_of
from .answers import TOKEN

_VISIBLE: Final = re.compile(r"[!-~]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HALF: Final = re.compile(r"[\ud800-\udfff]")  # of a character
_PATH_CHARS: Final = 64 << 10
_ELSEWHERE: Final = ("unix", "port", "address", "tls", "connection")


class HttpOpen(msgspec.Struct, frozen=True):
    """An open of `http-stream2`."""

    method: str
    """In capitals."""
    path: str
    headers: dict[str, str]
    terms: Terms


class EventsOpen(msgspec.Struct, frozen=True):
    """An open of `extension-events`. `after`: replay what is newer; None: nothing."""

    terms: Terms
    extension: str
    topics: tuple[str, ...]
    after: int | None


def http_open(options: Mapping[str, Any]) -> HttpOpen:
    """Raises Problem."""
    _nowhere_else(options)
    raw = _raw(options)
    method = _text(options, "method")
    if not method or not TOKEN.issuperset(method) or method.upper() in ("CONNECT", "TRACE"):
        raise _wrong("method", method, "a token that is neither CONNECT nor TRACE")
    path = _text(options, "path")
    if not path.startswith("/") or len(path) > _PATH_CHARS or not _VISIBLE.fullmatch(path):
        raise _wrong("path", path[:200], "a path that begins with /, of visible ASCII, up to 64 KiB")
    headers = _headers(options, raw)
    return HttpOpen(method.upper(), path, headers, terms_of(Options(options)))


def events_open(options: Mapping[str, Any]) -> EventsOpen:
    """Raises Problem."""
    _nowhere_else(options)
    topics = options.get("topics")
    if topics is None:
        topics = ["*"]
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise _wrong("topics", topics, "a list of strings")
    after = options.get("after")
    if isinstance(after, float) and after.is_integer():
        after = int(after)
    if after is not None and (type(after) is not int or after < 0):
        raise _wrong("after", after, "a whole number of 0 or more")
    extension = _text(options, "extension")
    return EventsOpen(terms_of(Options(options)), extension, tuple(topics), after)


def _nowhere_else(options: Mapping[str, Any]) -> None:
    for name in _ELSEWHERE:
        if options.get(name) is not None:
            raise Problem(PROTOCOL_ERROR, f'"{name}" of the open: not together with "internal"')


def _raw(options: Mapping[str, Any]) -> bool:
    binary = options.get("binary")
    if binary not in (None, "raw"):
        raise _wrong("binary", binary, '"raw"')
    return binary == "raw"


def _text(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str):
        raise _wrong(name, value, "a string")
    return value


def _headers(options: Mapping[str, Any], raw: bool) -> dict[str, str]:
    given = options.get("headers")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _wrong("headers", given, "an object of strings")
    seen: set[str] = set()
    for name, value in given.items():
        low = name.lower()
        if not name or not TOKEN.issuperset(name):
            raise _wrong(f"headers.{name}", name, "a token as the name of a header")
        if not isinstance(value, str) or _CONTROL.search(value) or _HALF.search(value):
            raise _wrong(f"headers.{name}", value, "a string without control characters")
        if low in OWNED or (not raw and low in OWNED_ON_TEXT):
            raise Problem(PROTOCOL_ERROR, f'"headers.{name}" of the open: this header is the bridge\'s own')
        if low in seen:
            raise Problem(PROTOCOL_ERROR, f'"headers.{name}" of the open: there is one of this name already')
        seen.add(low)
    return dict(given)


def _wrong(name: str, found: Any, expected: str) -> Problem:
    return Problem(
        PROTOCOL_ERROR,
        f'"{name}" of the open: expected {expected}, found {"nothing" if found is None else shown(found)}',
    )
