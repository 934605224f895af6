"""What an open of http-stream1 or http-stream2 asks for (docs/http.md, "The request")."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from ..served.options import Options
from .headers import TOKEN, Headers, add_missing, read_headers
from .where import Where, read_where

PATH_BYTES: Final = 64 << 10
_PATH: Final = re.compile(r"/[\x21-\x7e]*|\*")

LENGTH_WITHOUT_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say that they have no body."""

REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods whose requests may be sent once more: a second time does what the first did."""


class Request(msgspec.Struct, frozen=True):
    """One request, but for its body. `name` is that of its `connection`."""

    method: str
    path: str
    headers: Headers
    where: Where
    name: str | None
    text: bool


def _nowhere(name: str) -> None:
    return None


def read_path(options: Options) -> str:
    """The `path` of an open. Raises Problem (`protocol-error`)."""
    expected = 'a path that begins with "/", or "*", in visible ASCII'
    path = options.text("path", expected=expected)
    if len(path) > PATH_BYTES:
        raise options.wrong("path", f"at most {PATH_BYTES} bytes")
    if not _PATH.fullmatch(path):
        raise options.wrong("path", expected)
    return path


def read_name(options: Options) -> str | None:
    """The `connection` of an open. Raises Problem (`protocol-error`)."""
    name = options.text("connection", None)
    if name == "":
        raise options.wrong("connection", "a name")
    return name


def read_request(options: Options, known: Callable[[str], Where | None] = _nowhere) -> Request:
    """`known` tells where a `connection` goes. Raises Problem (`protocol-error`)."""
    text = not options.raw
    method = options.text("method", expected="the method of a request")
    if not TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise options.wrong("method", "the method of a request, and not CONNECT")
    path = read_path(options)
    headers = read_headers(options, text=text)
    name = read_name(options)
    where = read_where(options, None if name is None else known(name))
    return Request(method, path, _sent(headers, where, text=text), where, name, text)


def _sent(headers: Headers, where: Where, *, text: bool) -> Headers:
    """With those that the bridge adds."""
    added = [("Host", where.host), ("Accept-Encoding", "identity")]
    if text:
        added.append(("Accept-Charset", "UTF-8"))
    return add_missing(headers, *added) if headers else added
