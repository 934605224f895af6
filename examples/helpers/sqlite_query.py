#!/usr/bin/env python3
"""A helper that asks a SQLite database: `sqlite_query.py [--writable] DATABASE`, one process each (docs/helpers.md).

The front end sends queries, one JSON object each, and gets lines of JSON for it, in frames of several lines:

    {"id": 1, "sql": "select name, size from files where size > ?", "parameters": [100]}

    {"id": 1, "columns": ["name", "size"]}
    ["a.txt", 120]
    ["b.txt", 300]
    {"id": 1, "rows": 2, "more": false}

or {"id": 1, "error": "..."} in place of the last line. `limit` is how many rows are wanted, MOST_ROWS at most; `more`
is whether there are others. Blobs are told in base64. Queries of a channel run one after another, those of several
channels side by side, each with a connection of its own. A query ends when its channel is closed.

The database is opened for reading only, unless the rule says --writable. Nothing else can be attached to it.
"""

import argparse
import contextlib
import os
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import msgspec

from spanbridge.sdk import Channel, refuse, run

MOST_ROWS = 10_000
MOST_BYTES = 8 << 20  # of one answer
VALUE_BYTES = 1 << 20  # of one text or blob
FRAME_BYTES = 32 << 10  # about what one frame holds
BATCH_ROWS = 200
STEPS = 1_000  # of SQLite's machine, between two looks at whether the channel is closed
BUSY_SECONDS = 2.0
READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
PRAGMAS = ("table_info", "table_list", "table_xinfo", "index_info", "index_list", "foreign_key_list")
ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError)  # a query that is wrong, or cannot be answered

T = TypeVar("T")
Parameters = list[str | int | float | bool | None] | dict[str, str | int | float | bool | None]


class Query(msgspec.Struct, forbid_unknown_fields=True):
    sql: str
    id: Any = None
    parameters: Parameters = []
    limit: int = MOST_ROWS


def only_reading(action: int, what: str | None, value: str | None, database: str | None, trigger: str | None) -> int:
    """Not even temporary tables, which are files too, nor a transaction that is left open."""
    allowed = action in READING or (action == sqlite3.SQLITE_PRAGMA and what in PRAGMAS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


class Database:
    """One connection. What it does takes a thread, and ends soon after its task is cancelled."""

    def __init__(self, path: str, writable: bool) -> None:
        mode = "rw" if writable else "ro"
        uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        self._cancelled = False
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.set_progress_handler(lambda: self._cancelled, STEPS)
        if not writable:
            self._connection.set_authorizer(only_reading)

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raises sqlite3.Error where it is no database, or cannot be read."""
        self._connection.execute("select count(*) from sqlite_schema").fetchone()

    async def run(self, call: Callable[[], T]) -> T:
        """`call` in a thread. Where it is cancelled the statement is given up, and then the thread is done."""
        error = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._wait_cancelled)
            try:
                result = await anyio.to_thread.run_sync(call)
            except ERRORS as found:
                error = found  # past the task group, which would wrap it
            tasks.cancel_scope.cancel()
        self._cancelled = False
        if error is not None:
            raise error
        return result

    async def _wait_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._cancelled = True

    async def rows(self, query: Query) -> AsyncGenerator[list[Any], None]:
        """First the names of the columns, then the rows."""
        cursor = await self.run(lambda: self._connection.execute(query.sql, query.parameters))
        with contextlib.closing(cursor):
            yield [column[0] for column in cursor.description or ()]
            while batch := await self.run(lambda: cursor.fetchmany(BATCH_ROWS)):
                for row in batch:
                    yield list(row)


class Answer:
    """Lines of JSON for one query, gathered to frames."""

    def __init__(self, channel: Channel, query: Query) -> None:
        self._channel = channel
        self._query = query
        self._lines = bytearray()
        self._sent = 0
        self.rows = 0

    async def line(self, value: object) -> None:
        self._lines += msgspec.json.encode(value) + b"\n"
        if len(self._lines) >= FRAME_BYTES:
            await self.flush()

    async def row(self, row: list[Any]) -> bool:
        """Whether there was room for it."""
        if self.rows >= min(self._query.limit, MOST_ROWS) or self._sent >= MOST_BYTES:
            return False
        self.rows += 1
        await self.line(row)
        return True

    async def flush(self) -> None:
        lines, self._lines = self._lines, bytearray()
        self._sent += len(lines)
        await self._channel.send(lines)


async def answer(channel: Channel, database: Database, query: Query) -> None:
    answer = Answer(channel, query)
    try:
        async with contextlib.aclosing(database.rows(query)) as rows:
            columns = await anext(rows)
            await answer.line({"id": query.id, "columns": columns})
            more = False
            async for row in rows:
                more = not await answer.row(row)
                if more:
                    break
        await answer.line({"id": query.id, "rows": answer.rows, "more": more})
    except ERRORS as error:
        await answer.line({"id": query.id, "error": str(error)})
    await answer.flush()


def why_not(path: str, writable: bool) -> tuple[str, str] | None:
    """A problem and a message, where the database cannot be used."""
    if not os.path.isfile(path):
        return "not-found", f"{path}: no such file"
    if not os.access(path, os.R_OK | (os.W_OK if writable else 0)):
        return "access-denied", f"{path}: permission denied"
    try:
        with contextlib.closing(Database(path, writable)) as database:
            database.check()
    except sqlite3.Error as error:
        return "not-supported", f"{path}: {error}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="A helper for a bridge: answers queries on a SQLite database.")
    parser.add_argument("--writable", action="store_true", help="let queries change it")
    parser.add_argument("database")
    arguments = parser.parse_args()
    path, writable = os.path.abspath(arguments.database), arguments.writable
    problem = why_not(path, writable)
    if problem is not None:
        return refuse(*problem)

    async def serve(channel: Channel) -> None:
        with contextlib.closing(Database(path, writable)) as database:
            await channel.ready()
            async for query in channel.messages(Query):
                await answer(channel, database, query)
            await channel.done()

    return run(serve)


if __name__ == "__main__":
    sys.exit(main())
