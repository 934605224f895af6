"""The database as an extension sees it: better-sqlite3's interface, in front of calls of the host."""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from .calls import Calls

_KNOWN: Final = 512
_PLAIN: Final = frozenset({int, float, str, bytes, type(None)})


class Ran:
    """What `run` gives."""

    __slots__ = ("changes", "lastInsertRowid")

    def __init__(self, changes: int, last_insert_rowid: int) -> None:
        self.changes = changes
        self.lastInsertRowid = last_insert_rowid

    @property
    def last_insert_rowid(self) -> int:
        return self.lastInsertRowid

    def __getitem__(self, name: str) -> int:
        if name not in ("changes", "lastInsertRowid", "last_insert_rowid"):
            raise KeyError(name)
        return int(getattr(self, name))

    def __repr__(self) -> str:
        return f"Ran(changes={self.changes}, lastInsertRowid={self.lastInsertRowid})"


class Statement:
    """Made by `prepare`. Parameters are given by position, or as one dict for named ones."""

    __slots__ = ("_call", "_pluck", "source")

    def __init__(self, call: Calls, source: str) -> None:
        self._call = call
        self._pluck = False
        self.source = source

    def run(self, *parameters: Any) -> Ran:
        """Raises SqliteError, as all that follow do; ValueError for parameters that do not fit."""
        return Ran(*self._call("db.run", self.source, _bound(parameters)))

    def get(self, *parameters: Any) -> Any:
        """The first row, or None."""
        columns, row = self._call("db.get", self.source, _bound(parameters))
        return None if row is None else self._shaped(columns, row)

    def all(self, *parameters: Any) -> list[Any]:
        columns, rows = self._call("db.all", self.source, _bound(parameters))
        if self._pluck:
            return [row[0] for row in rows]
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def iterate(self, *parameters: Any) -> Iterator[Any]:
        """The rows, fetched as they are asked for."""
        cursor, columns, rows, more = self._call("db.open", self.source, _bound(parameters))
        try:
            while True:
                for row in rows:
                    yield self._shaped(columns, row)
                if not more:
                    return
                rows, more = self._call("db.next", cursor)
        finally:
            if more:
                self._call("db.close", cursor)

    def pluck(self, on: bool = True) -> "Statement":
        """Rows are the value of their first column."""
        self._pluck = on
        return self

    def _shaped(self, columns: Sequence[str], row: Sequence[Any]) -> Any:
        return row[0] if self._pluck else dict(zip(columns, row, strict=True))


class Database:
    """`services.db`."""

    def __init__(self, call: Calls, files: str) -> None:
        self._call = call
        self._known: dict[str, None] = {}

    def exec(self, sql: str) -> "Database":
        """Run any number of statements, without parameters."""
        self._call("db.exec", sql)
        return self

    def prepare(self, sql: str) -> Statement:
        """One statement, which is compiled once to tell at once what is wrong with it."""
        if sql not in self._known:
            self._call("db.prepare", sql)
            if len(self._known) >= _KNOWN:
                del self._known[next(iter(self._known))]
            self._known[sql] = None
        return Statement(self._call, sql)

    def transaction(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """A function that does what `fn` does in one transaction, which an exception undoes. May be nested."""
        if not callable(fn):
            raise TypeError(f"transaction: a {type(fn).__name__}, expected a function")
        if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError("transaction: an async function cannot be one transaction, others would run within it")

        @functools.wraps(fn)
        def run(*args: Any, **kwargs: Any) -> Any:
            nested = self._call("db.begin")
            try:
                result = fn(*args, **kwargs)
                if inspect.isawaitable(result):
                    raise TypeError("transaction: the function returned something to be awaited")
                self._call("db.commit", nested)  # which fails for a foreign key that was to be there by then
            except BaseException:
                self._call("db.undo", nested)
                raise
            return result

        return run

    def migrate(self, steps: Sequence[str]) -> int:
        """Bring the schema up to date: the steps beyond `user_version`, in one transaction; the version."""
        if isinstance(steps, str):
            raise TypeError("db.migrate: a str, expected a list of them")
        return int(self._call("db.migrate", list(steps)))


def _bound(parameters: tuple[Any, ...]) -> Any:
    if len(parameters) == 1 and isinstance(parameters[0], (dict, list, tuple)):
        given = parameters[0]
        return dict(given) if isinstance(given, dict) else list(given)
    return [each if type(each) in _PLAIN else _plain(each) for each in parameters]


def _plain(value: Any) -> Any:
    """Of a type that was made of one of these, what it is of that. Raises TypeError."""
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a parameter is a {type(value).__name__}: expected int, float, str, bytes or None")
