"""One database file, used by one thread: statements of an extension, run within bounds."""

import contextlib
import functools
import os
import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from ..errors import OverLimit, SqliteError
from ..files import open_own
from .authorizer import Authorizer
from .error_codes import code_of
from .late import Deadline, Watch
from .statements import first_word, split

VALUE_BYTES: Final = 16 << 20
_SQL_BYTES: Final = 1_000_000
_KNOWN: Final = 512
_STEPS: Final = 20_000  # of SQLite's machine, some milliseconds, between two looks at the clock
_COPIES: Final = 3
_LONGEST_SECONDS: Final = 86_400.0  # SQLite counts milliseconds in an int
_BATCH_ROWS: Final = 256
_BATCH_BYTES: Final = 256 << 10
_SAVEPOINT: Final = "spanbridge_schema"
_SUPPLIED: Final = re.compile(r"uses (\d+), and there (?:is|are) (\d+) supplied")
_ENDS: Final = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK"})
_TO_SAVEPOINT: Final = re.compile(r"\s*ROLLBACK\s+(TRANSACTION\s+)?TO\b", re.IGNORECASE)
_SETS: Final = re.compile(r"user_version\W*[=(]", re.IGNORECASE)
_MISSING: Final = re.compile(r"no such table: (?:main\.)?(.+)", re.DOTALL)
_MAY_STAND: Final = ("sqlite_autoindex_", "sqlite_sequence")

Row = Sequence[Any]
P = ParamSpec("P")
T = TypeVar("T")


def bound_memory(most_bytes: int) -> None:
    """What SQLite may hold, all databases of this process together; above it a statement fails, and nothing else."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"PRAGMA hard_heap_limit={most_bytes}")


class Known(NamedTuple):
    """What is known of a statement."""

    reader: bool
    """It gives rows."""
    parameters: int
    """How many it has; -1: that was not to be told."""
    changes_schema: bool


class Cursor(NamedTuple):
    """Rows that are fetched bit by bit."""

    rows: sqlite3.Cursor
    columns: list[str]


def _in_time(method: "Callable[Concatenate[Database, P], T]") -> "Callable[Concatenate[Database, P], T]":
    """Of a method that runs SQL of the extension's: nothing is late once it has returned."""

    @functools.wraps(method)
    def bounded(self: "Database", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        finally:
            self._deadline.at = 0.0

    return bounded


class Database:
    """Open until `close`. Everything that runs SQL raises SqliteError, or ValueError for parameters that do not fit."""

    def __init__(
        self,
        name: str,
        path: str,
        watch: Watch,
        *,
        most_bytes: int,
        seconds: float,
        busy_seconds: float,
        message_bytes: int,
    ) -> None:
        """`seconds`: of one statement; `busy_seconds`: how long another program that holds its lock is waited for.

        Raises sqlite3.Error, MemoryError, OSError.
        """
        self.path = path
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._message_bytes = message_bytes
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._nested = 0
        _make_private(path)
        busy_seconds = min(busy_seconds, _LONGEST_SECONDS)
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=busy_seconds
        )
        self._prepare(most_bytes)
        self._deadline = Deadline(watch, self._db.interrupt)
        self._authorizer = Authorizer(name, self._deadline.is_past)
        self._db.set_authorizer(self._authorizer)
        self._db.set_progress_handler(self._deadline.is_past, _STEPS)

    def _prepare(self, most_bytes: int) -> None:
        db = self._db
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            db.execute(f"PRAGMA {pragma}")
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute(f"PRAGMA max_page_count={max(most_bytes // size, 1)}")
        db.execute(f"PRAGMA journal_size_limit={min(most_bytes, 64 << 20)}")
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        db.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _SQL_BYTES)
        db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        db.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)
        db.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 100)
        db.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)

    def close(self) -> None:
        self._deadline.close()
        self._db.close()

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    # What an extension calls

    @_in_time
    def exec(self, sql: str) -> None:
        """Any number of statements, without parameters; rows are dropped."""
        for statement in split(sql):
            known = self._know(statement)
            with_rows = self._run(statement, (), known)
            with_rows.close()

    @_in_time
    def prepare(self, sql: str) -> Known:
        """What is to be known of one statement."""
        statements = list(split(sql))
        if len(statements) != 1:
            what = "more than one statement" if statements else "no statement"
            raise ValueError(f"the SQL has {what}, expected one")
        return self._know(sql)

    @_in_time
    def run(self, sql: str, parameters: Any) -> tuple[int, int]:
        """For one without rows: how many rows were changed, and the id of the last inserted."""
        known = self._know(sql)
        if known.reader:
            raise ValueError("this statement gives rows: use get(), all() or iterate()")
        before = self._db.total_changes
        rows = self._run(sql, parameters, known)
        changes, rowid = rows.rowcount, rows.lastrowid
        rows.close()
        if changes < 0 or rowid is None:  # sqlite3 counts for some kinds of statements only: not behind a WITH
            changes, rowid = self._ours("SELECT changes(), last_insert_rowid()")
            changes = changes if self._db.total_changes != before else 0
        return changes, rowid

    @_in_time
    def get(self, sql: str, parameters: Any) -> tuple[list[str], Row | None]:
        cursor = self._read(sql, parameters)
        try:
            row = self._fetched(cursor.rows)
            if row is not None and weight(row) > self._message_bytes:
                raise self._too_large("row has")
            return cursor.columns, row
        finally:
            cursor.rows.close()

    @_in_time
    def all(self, sql: str, parameters: Any) -> tuple[list[str], list[Row]]:
        cursor = self._read(sql, parameters)
        rows: list[Row] = []
        size = 0
        try:
            while (row := self._fetched(cursor.rows)) is not None:
                rows.append(row)
                size += weight(row)
                if size > self._message_bytes:
                    raise self._too_large("rows have", ": use iterate()")
        finally:
            cursor.rows.close()
        return cursor.columns, rows

    @_in_time
    def open(self, sql: str, parameters: Any) -> Cursor:
        """Rows that are fetched with `more`."""
        return self._read(sql, parameters)

    @_in_time
    def more(self, cursor: Cursor) -> tuple[list[Row], bool]:
        """The next rows, and whether there may be more."""
        self._deadline.set(self._seconds)
        rows: list[Row] = []
        size = 0
        while size < _BATCH_BYTES and len(rows) < _BATCH_ROWS:
            row = self._fetched(cursor.rows)
            if row is None:
                cursor.rows.close()
                return rows, False
            rows.append(row)
            size += weight(row)
            if size > self._message_bytes:
                raise self._too_large("row has")
        return rows, True

    def _too_large(self, what: str, instead: str = "") -> OverLimit:
        return OverLimit(f"the {what} too many bytes{instead}", "extension_message_bytes", self._message_bytes)

    def begin(self) -> bool:
        """A transaction, or one within it; whether it is one within."""
        nested = self._db.in_transaction
        if nested:
            self._nested += 1
        self._ours(f"SAVEPOINT spanbridge_{self._nested}" if nested else "BEGIN")
        return nested

    def commit(self, nested: bool) -> None:
        if nested:
            self._ours(f"RELEASE spanbridge_{self._nested}")
            self._nested -= 1
        else:
            self._ours("COMMIT")

    def undo(self, nested: bool) -> None:
        """Harmless where SQLite has undone it already."""
        if not self._db.in_transaction:
            self._nested = 0
        elif nested and self._nested:
            self._ours(f"ROLLBACK TO spanbridge_{self._nested}")
            self._ours(f"RELEASE spanbridge_{self._nested}")
            self._nested -= 1
        else:
            self._nested = 0
            self._ours("ROLLBACK")

    def migrate(self, steps: Sequence[str]) -> int:
        """Run the steps beyond `user_version`, in one transaction; the version. A copy is kept before."""
        (version,) = self._ours("PRAGMA user_version")
        if version >= len(steps):
            return int(version)
        if self._db.in_transaction:
            raise ValueError("migrate: a transaction is open")
        if self._ours("SELECT count(*) FROM sqlite_master")[0]:
            self._keep_copy(version)
        for step in steps[version:]:
            for statement in split(step):
                if first_word(statement) in _ENDS and not _TO_SAVEPOINT.match(statement):
                    raise ValueError(f"migrate: a step must not begin or end a transaction: {first_word(statement)}")
        self._ours("BEGIN")
        try:
            for step in steps[version:]:
                self.exec(step)
                if not self._db.in_transaction:
                    raise ValueError("migrate: a step must not end the transaction")
            self._ours(f"PRAGMA user_version={len(steps)}")
            self._ours("COMMIT")
        except BaseException:
            self.undo(False)
            raise
        return len(steps)

    def backup(self, path: str) -> None:
        """A whole copy as a file of its own, which must not be there."""
        _make_private(path)
        copy = sqlite3.connect(path)
        try:
            self._authorizer.own = True
            self._deadline.at = 0.0
            self._db.backup(copy)
        except sqlite3.Error as error:
            raise self._said(error) from None
        finally:
            self._authorizer.own = False
            copy.close()

    def _keep_copy(self, version: int) -> None:
        directory, file = os.path.split(self.path)
        self.backup(f"{self.path}.before-{version + 1}.{time.time_ns()}")
        # What the user has put beside them is the user's.
        ours = re.compile(re.escape(file) + r"\.before-[0-9]+\.([0-9]{1,20})")
        copies = sorted(filter(ours.fullmatch, os.listdir(directory)), key=lambda name: int(name.rpartition(".")[2]))
        for name in copies[:-_COPIES]:
            os.unlink(os.path.join(directory, name))

    # Running

    def _read(self, sql: str, parameters: Any) -> Cursor:
        known = self._know(sql)
        if not known.reader:
            raise ValueError("this statement gives no rows: use run()")
        rows = self._run(sql, parameters, known)
        return Cursor(rows, [column[0] for column in rows.description or ()])

    def _know(self, sql: str) -> Known:
        """Compile it without running it: what it is, or what is wrong with it."""
        known = self._known.get(sql)
        if known is not None:
            self._known.move_to_end(sql)
            return known
        authorizer = self._authorizer
        authorizer.begin()
        self._deadline.set(self._seconds)
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
        reader = reader and not authorizer.changes_schema
        known = self._known[sql] = Known(reader, count, authorizer.changes_schema)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return known

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

    def _run(self, sql: str, parameters: Any, known: Known) -> sqlite3.Cursor:
        given: Any = parameters
        if isinstance(parameters, dict):
            given = {str(name).lstrip("@:$"): value for name, value in parameters.items()}
        elif known.parameters >= 0 and len(parameters) != known.parameters:
            raise ValueError(f"{len(parameters)} parameters, the statement has {known.parameters}")
        self._deadline.set(self._seconds)
        if known.changes_schema:
            return self._run_on_schema(sql, given)
        return self._execute(sql, given)

    def _run_on_schema(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """It counts only if all names are the extension's afterwards."""
        self._known.clear()
        self._ours(f"SAVEPOINT {_SAVEPOINT}")
        try:
            rows = self._execute(sql, parameters)
            strange = self._strange()
            if strange:
                rows.close()
                raise SqliteError(
                    f"not allowed: the name {strange!r}; names begin with {self._authorizer.prefix}",
                    "SQLITE_AUTH",
                )
        except BaseException:
            if self._db.in_transaction:
                self._ours(f"ROLLBACK TO {_SAVEPOINT}")
                self._ours(f"RELEASE {_SAVEPOINT}")
            raise
        self._ours(f"RELEASE {_SAVEPOINT}")
        return rows

    def _strange(self) -> str:
        """A name in the schema that is not the extension's; empty: there is none."""
        self._authorizer.own = True
        try:
            rows = self._db.execute("SELECT name, tbl_name FROM sqlite_master").fetchall()
        finally:
            self._authorizer.own = False
        for row in rows:
            for name in row:
                if not self._authorizer.owns(name) and not name.startswith(_MAY_STAND):
                    return str(name)
        return ""

    def _execute(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._authorizer.begin()
        try:
            return self._db.execute(sql, parameters)
        except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError, TypeError, ValueError) as error:
            raise self._said(error) from None

    def _fetched(self, rows: sqlite3.Cursor) -> Row | None:
        try:
            row: Row | None = rows.fetchone()
        except (sqlite3.Error, MemoryError, UnicodeError) as error:
            raise self._said(error) from None
        return row

    def _ours(self, sql: str) -> Any:
        """A statement of the host's; its first row."""
        self._authorizer.own = True
        self._deadline.at = 0.0
        try:
            return self._db.execute(sql).fetchone()
        except sqlite3.Error as error:
            raise self._said(error) from None
        finally:
            self._authorizer.own = False

    def _said(self, error: Exception) -> Exception:
        """The error as the extension gets it."""
        if isinstance(error, MemoryError):
            return SqliteError("out of memory: what SQLite holds is bounded by extension_memory_bytes", "SQLITE_NOMEM")
        if not isinstance(error, sqlite3.Error) or isinstance(
            error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)
        ):
            return ValueError(str(error))
        code = code_of(error)
        if self._authorizer.refused:
            return SqliteError(self._authorizer.refused, "SQLITE_AUTH")
        if code == "SQLITE_INTERRUPT" or (code == "SQLITE_AUTH" and self._deadline.is_past()):
            return SqliteError(f"over {self._seconds:g} s (extension_query_seconds)", "SQLITE_INTERRUPT")
        if code == "SQLITE_FULL":
            told = f"{error}: it may have {self._most_bytes} bytes (extension_database_bytes)"
            return SqliteError(told, code)
        if code == "SQLITE_IOERR_WRITE":  # a disk that is full has a code of its own
            return SqliteError("a file that the statement writes, most often one for sorting, gets too large", code)
        missing = _MISSING.fullmatch(str(error))
        if missing and not self._authorizer.owns(missing[1]):  # there or not: it could not be used
            return SqliteError(
                f"not allowed: the table {missing[1]!r}; names begin with {self._authorizer.prefix}", "SQLITE_AUTH"
            )
        return SqliteError(str(error), code)


class _Nothing(dict[str, None]):
    """Has nothing under any name."""

    def __missing__(self, name: str) -> None:
        return None


def weight(row: Iterable[Any]) -> int:
    """Bytes that a row takes in a message, about."""
    total = 0
    for value in row:
        kind = type(value)
        total += 5 + len(value) if kind is str or kind is bytes else 9
    return total


def _make_private(path: str) -> None:
    """The file, and those that SQLite makes beside it, which get its mode, are for the user alone."""
    os.close(open_own(path, os.O_RDWR | os.O_NOFOLLOW))
