"""Which handlers a request gets: paths as in Express, the first that was added wins."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
Handler = Callable[..., Any]


class BadEncoding(Exception):
    """A part of the path that does not stand for any text."""


class Pattern:
    """A path: `:name` is one part of it, `*` at the end is all that is left. A trailing slash is none."""

    __slots__ = ("_open", "_parts", "text")

    def __init__(self, text: str, *, prefix: bool = False) -> None:
        if not isinstance(text, str) or not text.startswith("/"):
            raise ValueError(f"{text!r}: expected a path that begins with /")
        parts = _parts(text)
        self._open = prefix
        if parts and parts[-1] == "*":
            self._open = True
            parts = [*parts[:-1]]
        for part in parts:
            if "*" in part:
                raise ValueError(f"{text!r}: * stands at the end alone")
        self._parts = parts
        self.text = text

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """The parameters; None: it does not match. Raises BadEncoding."""
        own = self._parts
        if len(parts) < len(own) or (len(parts) > len(own) and not self._open):
            return None
        for mine, theirs in zip(own, parts, strict=False):
            if mine != theirs and not (mine.startswith(":") and theirs):
                return None
        found = {mine[1:]: decoded(theirs) for mine, theirs in zip(own, parts, strict=False) if mine.startswith(":")}
        if self.text.endswith("*"):
            found["*"] = decoded("/".join(parts[len(own) :]))
        return found


class Step(NamedTuple):
    """One function that a request is handed to."""

    handler: Handler
    params: dict[str, str]
    middleware: bool


class _Entry(NamedTuple):
    method: str
    """Empty: any."""
    pattern: Pattern
    handlers: tuple[Handler, ...]
    middleware: bool


class Router:
    """What `init` gets."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def use(self, path: Any, *handlers: Handler) -> Any:
        """`use(fn)` or `use(path, fn)`: handed every request (below `path`) that comes so far, as (req, res, next)."""
        if callable(path):
            self._entries.append(_Entry("", Pattern("/", prefix=True), (path, *handlers), True))
            return path
        return self._add("", Pattern(path, prefix=True), handlers, middleware=True)

    def all(self, path: str, *handlers: Handler) -> Any:
        return self._add("", Pattern(path), handlers)

    def get(self, path: str, *handlers: Handler) -> Any:
        return self._add("GET", Pattern(path), handlers)

    def post(self, path: str, *handlers: Handler) -> Any:
        return self._add("POST", Pattern(path), handlers)

    def put(self, path: str, *handlers: Handler) -> Any:
        return self._add("PUT", Pattern(path), handlers)

    def patch(self, path: str, *handlers: Handler) -> Any:
        return self._add("PATCH", Pattern(path), handlers)

    def delete(self, path: str, *handlers: Handler) -> Any:
        return self._add("DELETE", Pattern(path), handlers)

    def head(self, path: str, *handlers: Handler) -> Any:
        return self._add("HEAD", Pattern(path), handlers)

    def options(self, path: str, *handlers: Handler) -> Any:
        return self._add("OPTIONS", Pattern(path), handlers)

    def _add(self, method: str, pattern: Pattern, handlers: tuple[Handler, ...], *, middleware: bool = False) -> Any:
        if not handlers:

            def decorate(handler: Handler) -> Handler:
                self._add(method, pattern, (handler,), middleware=middleware)
                return handler

            return decorate
        for handler in handlers:
            if not callable(handler):
                raise TypeError(f"{pattern.text}: a handler is a {type(handler).__name__}, expected a function")
        self._entries.append(_Entry(method, pattern, handlers, middleware))
        return self

    def find(self, method: str, path: str) -> tuple[list[Step], set[str]]:
        """The functions for a request, in order, and the methods that its path has. Raises BadEncoding.

        HEAD is answered by what answers GET, unless it has a handler of its own.
        """
        parts = _parts(path)
        steps: list[Step] = []
        instead: list[Step] = []
        methods: set[str] = set()
        for entry in self._entries:
            params = entry.pattern.match(parts)
            if params is None:
                continue
            # All but the last of a route go on with next(), too.
            last = len(entry.handlers) - 1
            found = [Step(each, params, entry.middleware or at < last) for at, each in enumerate(entry.handlers)]
            if entry.middleware or not entry.method or entry.method == method:
                steps += found
                instead += found if entry.middleware else []
            elif method == "HEAD" and entry.method == "GET":
                instead += found
            if not entry.middleware:
                methods |= {entry.method} if entry.method else {method}
        if method == "HEAD" and not any(not step.middleware for step in steps):
            steps = instead
        if "GET" in methods:
            methods.add("HEAD")
        return steps, methods


def _parts(path: str) -> list[str]:
    path = path[:-1] if path.endswith("/") else path
    return path.split("/")[1:]


def decoded(text: str) -> str:
    """Percent-encoding taken away. Raises BadEncoding."""
    if "%" not in text:
        return text
    pieces = text.split("%")
    for piece in pieces[1:]:
        if len(piece) < 2 or any(char not in "0123456789abcdefABCDEF" for char in piece[:2]):
            raise BadEncoding(text)
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise BadEncoding(text) from None
