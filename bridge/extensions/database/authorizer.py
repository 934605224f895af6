"""What SQL of an extension may do: asked by SQLite for every action while it compiles a statement.

It cannot see everything: the new name of a RENAME is not told. So names are checked a second time, in what has become
of the schema, before a statement that changed it counts (schema.py).
"""

import sqlite3
from collections.abc import Callable
from typing import Final

OK: Final = sqlite3.SQLITE_OK
DENY: Final = sqlite3.SQLITE_DENY
_ALTER_TABLE: Final = sqlite3.SQLITE_ALTER_TABLE
_RECURSIVE: Final = sqlite3.SQLITE_RECURSIVE

_SCHEMA: Final = frozenset({"sqlite_master", "sqlite_schema"})
_READABLE: Final = _SCHEMA | {"sqlite_sequence", "json_each", "json_tree", "sqlite_temp_master", "sqlite_temp_schema"}
_MODULES: Final = frozenset({"fts5", "rtree", "rtree_i32"})
_PRAGMAS: Final = frozenset(
    {
        "user_version",
        "table_info",
        "table_xinfo",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "foreign_key_check",
        "data_version",  # fts5 asks
        "page_size",  # rtree asks
    }
)
_READABLE_ALL: Final = _READABLE | {f"pragma_{name}" for name in _PRAGMAS}
_READ_ONLY: Final = frozenset({"data_version", "page_size"})
_FUNCTIONS_REFUSED: Final = frozenset({"load_extension", "fts3_tokenizer", "sqlite_attach", "sqlite_detach"})

_SEQUENCE: Final = "sqlite_sequence"
_BY_RENAME: Final = frozenset(
    {("sqlite_temp_master", sqlite3.SQLITE_UPDATE), ("sqlite_temp_master", sqlite3.SQLITE_READ)}
)
_CHANGES_ROWS: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_OF_SCHEMA: Final = frozenset(
    {
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_TRIGGER,
        sqlite3.SQLITE_CREATE_VIEW,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_VIEW,
    }
)
_OF_MODULES: Final = frozenset({sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE})
_ALWAYS: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, _RECURSIVE, sqlite3.SQLITE_REINDEX}
)


def prefix_of(name: str) -> str:
    """What the names of an extension's tables begin with, in small letters."""
    return f"ext_{name.replace('-', '_')}_"


class Authorizer:
    """Called by SQLite. `refused`: why the last action was; `changes_schema`: one of them was to."""

    __slots__ = ("_is_late", "changes_schema", "own", "prefix", "refused")

    def __init__(self, name: str, is_late: Callable[[], bool]) -> None:
        """`is_late`: nothing is compiled any more."""
        self._is_late = is_late
        self.prefix = prefix_of(name)
        self.refused = ""
        self.changes_schema = False
        self.own = False
        """The host's own statements, which may do anything."""

    def begin(self) -> None:
        """A statement is about to be compiled."""
        self.refused = ""
        self.changes_schema = False

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        if self.own:
            return OK
        if self._is_late():
            return DENY
        if action in _ALWAYS:
            return OK
        # `CREATE TABLE temp.x` is told as a table, and of another database.
        # (DROP COLUMN is told with the column in that place.)
        here = database in (None, "main") or action == _ALTER_TABLE or (first, action) in _BY_RENAME
        if here and self._allows(action, first or "", second or ""):
            return OK
        if not self.refused:
            self.refused = _told(action, first or "", second or "", database, self.prefix)
        return DENY

    def _allows(self, action: int, first: str, second: str) -> bool:
        if action == sqlite3.SQLITE_READ:
            # Without a column it is count(*), also of a CTE or a subquery, whose name is nobody's affair.
            return not second or self.owns(first) or first.lower() in _READABLE_ALL
        if action == sqlite3.SQLITE_FUNCTION:
            return second.lower() not in _FUNCTIONS_REFUSED
        if action in _CHANGES_ROWS:
            return self.owns(first) or first.lower() in _SCHEMA or (first, action) in _BY_RENAME or first == _SEQUENCE
        if action in _OF_SCHEMA:
            self.changes_schema = True
            if first.startswith("sqlite_autoindex_"):
                return self.owns(second)
            # AUTOINCREMENT has SQLite make sqlite_sequence; nobody else can, the name is reserved.
            return self.owns(first) or first == _SEQUENCE
        if action in _OF_MODULES:
            self.changes_schema = True
            return self.owns(first) and second.lower() in _MODULES
        if action == _ALTER_TABLE:
            self.changes_schema = True
            return first.lower() == "main" and self.owns(second)
        if action == sqlite3.SQLITE_PRAGMA:
            return first.lower() in _PRAGMAS and not (first.lower() in _READ_ONLY and second)
        return False

    def owns(self, name: str) -> bool:
        """Whether a table, an index or the like of this name is the extension's."""
        return name.lower().startswith(self.prefix)


_REFUSALS: Final = {
    sqlite3.SQLITE_READ: "reading the table {0!r}",
    sqlite3.SQLITE_INSERT: "inserting into {0!r}",
    sqlite3.SQLITE_UPDATE: "updating {0!r}",
    sqlite3.SQLITE_DELETE: "deleting from {0!r}",
    sqlite3.SQLITE_FUNCTION: "the function {1}",
    sqlite3.SQLITE_PRAGMA: "PRAGMA {0}",
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_ANALYZE: "ANALYZE",
    sqlite3.SQLITE_CREATE_TABLE: "the table {0!r}",
    sqlite3.SQLITE_CREATE_INDEX: "the index {0!r}",
    sqlite3.SQLITE_CREATE_TRIGGER: "the trigger {0!r}",
    sqlite3.SQLITE_CREATE_VIEW: "the view {0!r}",
    sqlite3.SQLITE_CREATE_VTABLE: "the virtual table {0!r} of {1}",
    sqlite3.SQLITE_DROP_TABLE: "dropping the table {0!r}",
    sqlite3.SQLITE_DROP_INDEX: "dropping the index {0!r}",
    sqlite3.SQLITE_DROP_TRIGGER: "dropping the trigger {0!r}",
    sqlite3.SQLITE_DROP_VIEW: "dropping the view {0!r}",
    sqlite3.SQLITE_DROP_VTABLE: "dropping the virtual table {0!r}",
    _ALTER_TABLE: "altering the table {1!r}",
}
_TEMPORARY: Final = frozenset(
    {
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_DROP_TEMP_INDEX,
        sqlite3.SQLITE_DROP_TEMP_TABLE,
        sqlite3.SQLITE_DROP_TEMP_TRIGGER,
        sqlite3.SQLITE_DROP_TEMP_VIEW,
    }
)
_BY_NAME: Final = _CHANGES_ROWS | _OF_SCHEMA | {sqlite3.SQLITE_READ, sqlite3.SQLITE_CREATE_VTABLE, _ALTER_TABLE}
_STATISTICS: Final = "sqlite_stat"


def _told(action: int, first: str, second: str, database: str | None, prefix: str) -> str:
    """What of the statement was refused, and what would not have been."""
    if action in _TEMPORARY or database == "temp" or first == "sqlite_temp_master":
        return "not allowed: temporary tables and the like"
    if first.startswith(_STATISTICS):
        return "not allowed: ANALYZE"
    if action == sqlite3.SQLITE_CREATE_VTABLE and second.lower() not in _MODULES:
        return f"not allowed: a virtual table of {second}, only of {', '.join(sorted(_MODULES))}"
    told = f"not allowed: {_REFUSALS.get(action, 'this').format(first, second)}"
    return f"{told}; names begin with {prefix}" if action in _BY_NAME else told
