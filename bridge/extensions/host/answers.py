"""Answers of the host's own, and the headers that every answer has."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

JSON: Final = "application/json; charset=utf-8"
FORCED: Final = {
    # Opened by URL an answer is a document of the session's origin: it must not act as the user.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
_LEFT_OUT: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "trailer", "upgrade", "content-length", "proxy-connection"}
    | {name.lower() for name in FORCED}
)
_HEADERS_CHARS: Final = 64 << 10
_BREAKS: Final = frozenset("\r\n\0")
TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    headers: dict[str, str]


class Unsendable(Exception):
    """An answer of an extension that cannot be passed on; the text says why."""


def json_answer(status: int, value: Any, **headers: str) -> Answer:
    told = {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a path need not be text: what is none of it is told as an escape
        body = json.dumps(msgspec.to_builtins(value)).encode()
    return Answer(status, body, {"Content-Type": JSON, **told})


def error(status: int, code: str, message: str, **headers: str) -> Answer:
    """An error as a page sees it. `_` in a header's name stands for `-`."""
    return json_answer(status, {"error": code, "message": message}, **headers)


def with_ours(answer: Answer) -> Answer:
    """An answer of the host's own, with the headers that each has."""
    return answer._replace(headers=sent_headers(answer.headers.items()))


_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def reason(status: int) -> str:
    return _PHRASES.get(status, "")


def sent_headers(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of an extension as they are passed on, and ours. Raises Unsendable."""
    headers: dict[str, str] = {}
    names: dict[str, str] = {}
    size = 0
    for name, value in given:
        if not name or not TOKEN.issuperset(name):
            raise Unsendable(f"the name of a header: {name[:80]!r}")
        if not _BREAKS.isdisjoint(value):
            raise Unsendable(f"the header {name}: a line break or NUL in its value")
        low = name.lower()
        if low in _LEFT_OUT:
            continue
        size += len(name) + len(value)
        if size > _HEADERS_CHARS:  # a control message that is too long would end the whole session of extensions
            raise Unsendable(f"headers of over {_HEADERS_CHARS} characters")
        if low in names:
            headers[names[low]] += f", {value}"
        else:
            names[low] = name
            headers[name] = value
    return {**headers, **FORCED}


def has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in (204, 304) and status >= 200
