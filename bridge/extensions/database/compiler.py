"""What a statement is, told without running it."""

import re
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..errors import SqliteError
from .authorizer import Authorizer
from .statements import first_word

_KNOWN: Final = 512
_SUPPLIED: Final = re.compile(r"uses (\d+), and there (?:is|are) (\d+) supplied")
_SETS: Final = re.compile(r"user_version\W*[=(]", re.IGNORECASE)


class Known(NamedTuple):
    """What is known of a statement."""

    reader: bool
    """It gives rows."""
    parameters: int
    """How many it has; -1: that was not to be told."""
    changes_schema: bool


class Compiler:
    """Of one database. It keeps what it has found, until `forget`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        authorizer: Authorizer,
        begins: Callable[[], None],
        said: Callable[[Exception], Exception],
    ) -> None:
        """`begins`: called before it asks SQLite. `said`: an error as the extension gets it."""
        self._db = db
        self._authorizer = authorizer
        self._begins = begins
        self._said = said
        self._known: OrderedDict[str, Known] = OrderedDict()

    def forget(self) -> None:
        """The schema changes: what is known counts no more."""
        self._known.clear()

    def known(self, sql: str) -> Known:
        """What one statement is. Raises SqliteError, ValueError for what is wrong with it."""
        known = self._known.get(sql)
        if known is not None:
            self._known.move_to_end(sql)
            return known
        self._begins()
        known = self._known[sql] = self._compiled(sql)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return known

    def _compiled(self, sql: str) -> Known:
        authorizer = self._authorizer
        authorizer.begin()
        if "\0" in sql:
            raise ValueError("the SQL has a NUL in it")
        kind = first_word(sql)
        if kind == "VACUUM":  # SQLite would complain of the transaction that is around it
            raise SqliteError("not allowed: VACUUM", "SQLITE_AUTH")
        explained = sql if kind == "EXPLAIN" else f"EXPLAIN {sql}"
        count = 0
        try:
            program = self._program(explained, ())
        except sqlite3.ProgrammingError as error:
            found = _SUPPLIED.search(str(error))
            if found is None:
                raise self._said(error) from None
            count = int(found[1])
            authorizer.begin()
            try:
                program = self._with_nothing(explained, count)
            except (sqlite3.Error, MemoryError) as second:
                raise self._said(second) from None
        except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
            raise self._said(error) from None
        reader = kind == "EXPLAIN" or any(step[1] == b"ResultRow" for step in program)
        if kind == "PRAGMA":  # whose program may find nothing to say
            reader = _SETS.search(sql) is None
        return Known(reader and not authorizer.changes_schema, count, authorizer.changes_schema)

    def _with_nothing(self, explained: str, count: int) -> list[tuple[Any, ...]]:
        """The same of a statement with so many parameters, with nothing for each. Python 3.14 takes no sequence for
        those with names, and no Python a mapping for the others."""
        try:
            return self._program(explained, _Nothing())
        except sqlite3.ProgrammingError:
            self._authorizer.begin()
            return self._program(explained, (None,) * count)

    def _program(self, explained: str, parameters: Any) -> list[tuple[Any, ...]]:
        """The steps; their texts are bytes, since a literal in them may be anything."""
        self._db.text_factory = bytes
        try:
            return self._db.execute(explained, parameters).fetchall()
        finally:
            self._db.text_factory = str


class _Nothing(dict[str, None]):
    """Has nothing under any name."""

    def __missing__(self, name: str) -> None:
        return None
