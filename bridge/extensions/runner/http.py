"""A request and its answer, as handlers see them."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from ..errors import HttpError
from .router import BadEncoding, decoded

_DEPTH: Final = 100
_STATUS_BITS: Final = 63  # of a number that a message can hold
_TYPES: Final = {
    "json": "application/json; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "xml": "application/xml",
    "csv": "text/csv; charset=utf-8",
    "bin": "application/octet-stream",
}
JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
OCTETS: Final = "application/octet-stream"


class Headers(Mapping[str, str]):
    """Of a request; names in any case."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class User(NamedTuple):
    """Whose session asks."""

    name: str
    uid: int


class Req:
    """What a handler gets. Further attributes may be set on it, for the handlers that follow."""

    def __init__(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, user: tuple[str, int]
    ) -> None:
        """Raises HttpError for what cannot be read."""
        self.method = method
        self.path = path
        self.params: dict[str, str] = {}
        self.query: dict[str, Any] = parse_query(query) if query else {}
        self.headers = Headers(headers)
        kind = self.headers.get("content-type")
        self.body: Any = body if kind is None else _parsed(kind, body)
        self.user = User(*user)

    def get(self, name: str) -> str | None:
        """A header, by its name in any case."""
        found: str | None = self.headers.get(name)
        return found


def parse_query(text: str) -> dict[str, Any]:
    """Raises HttpError."""
    found: dict[str, Any] = {}
    for part in text.split("&"):
        name, _, value = part.replace("+", " ").partition("=")
        if not part:
            continue
        try:
            name, value = decoded(name), decoded(value)
        except BadEncoding:
            raise HttpError(400, "bad percent-encoding in the query", "bad-request") from None
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _parsed(content_type: str, body: bytes) -> Any:
    if not is_json(content_type):
        return body
    if not body.strip():
        return {}
    try:
        value = _decoded(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise HttpError(400, f"the body is no JSON: {error}", "bad-json") from None
    if body.count(b"[") + body.count(b"{") > _DEPTH and _deeper(value, _DEPTH):
        raise HttpError(400, f"the body is nested over {_DEPTH} deep", "bad-json")
    return value


def _decoded(body: bytes) -> Any:
    """Raises msgspec.DecodeError, ValueError, RecursionError."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        if b"\\ud" not in body.lower():
            raise
        return json.loads(body.decode(), parse_constant=_refuse)  # half a character, as an escape


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no value")


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, (dict, list)) for each in level)


class Answer(NamedTuple):
    """What goes out. `body` is bytes, or something that gives pieces one by one."""

    status: int
    headers: list[tuple[str, str]]
    body: Any


class Res:
    """The answer in the making; its methods can be chained."""

    def __init__(self) -> None:
        self.statusCode = 200
        self.locals: dict[str, Any] = {}
        self.answer: Answer | None = None
        self.on_answer: Any = None
        self._headers: dict[str, tuple[str, str]] = {}

    def status(self, status: int) -> "Res":
        self.statusCode = status
        return self

    def set(self, name: Any, value: Any = None) -> "Res":
        """One header, or a dict of them."""
        for each, given in name.items() if isinstance(name, dict) else [(name, value)]:
            text = ", ".join(map(str, given)) if isinstance(given, (list, tuple)) else str(given)
            self._headers[str(each).lower()] = (str(each), text)
        return self

    header = set  # noqa: A003 - Express has it

    def type(self, kind: str) -> "Res":
        """Content-Type, also by the name of a suffix."""
        return self.set("Content-Type", kind if "/" in kind else _TYPES.get(kind.lstrip("."), OCTETS))

    def json(self, value: Any) -> "Res":
        return self._send(to_json(value), JSON)

    def send(self, value: Any = None) -> "Res":
        """str as HTML, bytes, None as nothing, anything else as JSON; unless a type was set."""
        if isinstance(value, str):
            return self._send(value.encode(), "text/html; charset=utf-8")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._send(bytes(value), OCTETS)
        return self._send(b"", None) if value is None else self.json(value)

    def end(self, value: Any = None) -> "Res":
        return self._send(value.encode() if isinstance(value, str) else bytes(value or b""), None)

    def send_status(self, status: int) -> "Res":
        self.statusCode = status
        return self._send(reason(status).encode(), TEXT)

    sendStatus = send_status  # noqa: N815 - the document's name

    def _send(self, body: bytes, kind: str | None) -> "Res":
        if self.answer is not None:
            raise RuntimeError("the answer was sent already")
        self.answer = self._made(self.statusCode, kind, body)
        if self.on_answer is not None:
            self.on_answer(self.answer)
        return self

    def returned(self, value: Any) -> Answer:
        """The answer for what a handler has returned. Raises TypeError."""
        status = self.statusCode
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int):
            status, value = value
        kind: str | None = None
        body: Any
        if isinstance(value, (dict, list)):
            body, kind = to_json(value), JSON
        elif value is None:
            body = b""
            status = 204 if status == 200 else status
        elif isinstance(value, str):
            body, kind = value.encode(), TEXT
        elif isinstance(value, (bytes, bytearray, memoryview)):
            body, kind = bytes(value), OCTETS
        elif hasattr(value, "__anext__") or hasattr(value, "__next__"):
            body, kind = value, OCTETS
        else:
            kind = type(value).__name__
            raise TypeError(f"the handler returned {kind}, expected a dict, list, str, bytes, generator or None")
        return self._made(status, kind, body)

    def _made(self, status: Any, kind: str | None, body: Any) -> Answer:
        """With the headers that were set. Raises what no message can hold: here it is the handler's, which has failed;
        where it is sent, it would end the thread that sends for all."""
        headers = dict(self._headers)
        if kind is not None:
            headers.setdefault("content-type", ("Content-Type", kind))
        for name, text in headers.values():
            if not (name.isascii() and text.isascii()):
                f"{name}{text}".encode()  # half a character is none
        return Answer(_whole(status), list(headers.values()), body)


def _whole(status: Any) -> int:
    """A status as a number; Express takes one that is written out, too. Raises ValueError, TypeError, OverflowError."""
    number = int(status)
    if number.bit_length() > _STATUS_BITS:
        raise ValueError(f"the status has {number.bit_length()} bits")
    return number


def to_json(value: Any) -> bytes:
    """Raises TypeError, ValueError."""
    try:
        return msgspec.json.encode(value)
    except (msgspec.MsgspecError, OverflowError, RecursionError, UnicodeEncodeError):
        return json.dumps(value, allow_nan=False).encode()  # half a character is an escape


def reason(status: int) -> str:
    """The words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def error_answer(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Answer:
    """An error as JSON."""
    return Answer(
        _whole(status), [("Content-Type", JSON), *(headers or [])], to_json({"error": code, "message": message})
    )
