"""What is to be delivered, kept on disk until it is: webhooks and pushes in one queue."""

import asyncio
import contextlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ...limits import Limits
from ..host_log import HostLog
from .keeper import DatabaseFailed, Keeper
from .outcome import RETRY_MOST_SECONDS, Outcome

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS endpoints (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, events TEXT NOT NULL, secret TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS subscriptions (
    id TEXT PRIMARY KEY, endpoint TEXT NOT NULL UNIQUE, p256dh TEXT NOT NULL, auth TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL,
    options TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL,
    status INTEGER NOT NULL, error TEXT NOT NULL, made REAL NOT NULL, PRIMARY KEY (id, target)
);
CREATE TABLE IF NOT EXISTS origins (origin TEXT PRIMARY KEY, made REAL NOT NULL);
CREATE INDEX IF NOT EXISTS due ON deliveries (state, due);
"""
WAITING: Final = "waiting"
DEAD: Final = "dead"
_MOST_ORIGINS: Final = 10_000
_DEAD_SECONDS: Final = 30 * 86_400.0
_FORGET_SECONDS: Final = 3_600.0
_AGAIN_SECONDS: Final = 2.0
_ROW_BYTES: Final = 512  # about what one takes beside its body
_GONE: Final = (410,)
_GONE_FOR_A_PUSH: Final = (404, 410)


class Delivery(msgspec.Struct, frozen=True):
    """One message for one receiver."""

    id: str
    kind: str
    target: str
    type: str
    body: bytes
    options: dict[str, Any]
    attempts: Annotated[int, msgspec.Meta(ge=0)]
    made: float


Sender = Callable[[Delivery, Mapping[str, Any]], Awaitable[Outcome]]
"""Sends one to what the table of its kind says of its receiver."""


class TooMany(RuntimeError):
    """So many, or so much, waits already that no more is taken."""


class Deliveries:
    """The file `deliveries.db`. `run` delivers."""

    def __init__(self, directory: str, limits: Limits, log: HostLog) -> None:
        self._limits = limits
        self._most_bytes = limits.extension_deliveries_bytes
        self._weight = self._most_bytes  # of all that is kept, at most; measured when that would be too much
        self._forgotten = 0.0
        self.keeper = Keeper(os.path.join(directory, "deliveries.db"), _SCHEMA, limits.extension_busy_seconds)
        self._retries = [float(part) for part in limits.extension_delivery_retries.split(",")]
        self._longest = max(RETRY_MOST_SECONDS, *self._retries) + 1.0
        self.log = log
        self._senders: dict[str, tuple[str, Sender]] = {}
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._under_way: set[tuple[str, str]] = set()

    def send_with(self, kind: str, table: str, sender: Sender) -> None:
        """How deliveries of this kind are sent, and the table of their receivers."""
        self._senders[kind] = (table, sender)

    def put(
        self,
        db: sqlite3.Connection,
        kind: str,
        targets: list[str],
        type_: str,
        body: bytes,
        options: Mapping[str, Any],
        origin: str | None = None,
    ) -> int:
        """In a job of the keeper: one message for each of the targets; how many. Raises TooMany: nothing is put then.

        `origin`: what it comes from; nothing comes from the same a second time.
        """
        if origin is not None:
            row = (f"{kind} {origin}", time.time())
            if not db.execute("INSERT INTO origins VALUES (?, ?) ON CONFLICT DO NOTHING", row).rowcount:
                return 0
            db.execute("DELETE FROM origins WHERE rowid <= (SELECT max(rowid) FROM origins) - ?", (_MOST_ORIGINS,))
        (waiting,) = db.execute("SELECT count(*) FROM deliveries WHERE state = ?", (WAITING,)).fetchone()
        most = self._limits.extension_deliveries
        if waiting + len(targets) > most:
            self.log.limit("extension_deliveries", most)
            raise TooMany(f"{waiting} deliveries wait already, at most {most} may (extension_deliveries)")
        self._make_room(db, len(targets) * (len(body) + _ROW_BYTES))
        ident, now = f"msg_{secrets.token_urlsafe(18)}", time.time()
        rows = [
            (ident, kind, each, type_, body, json.dumps(dict(options)), WAITING, 0, now, 0, "", now) for each in targets
        ]
        db.executemany("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if rows:
            self._loop.call_soon_threadsafe(self._news.set)
        return len(rows)

    def _make_room(self, db: sqlite3.Connection, nbytes: int) -> None:
        """For so many more bytes: the oldest that could not be delivered go first. Raises TooMany."""
        if time.time() - self._forgotten > _FORGET_SECONDS:
            self._forgotten = time.time()
            _forget_dead(db)
        self._weight += nbytes
        if self._weight <= self._most_bytes:
            return
        dead = [
            (int(number), shown(ident), shown(target), int(size) + _ROW_BYTES)
            for number, ident, target, size in db.execute(
                "SELECT rowid, id, target, length(body) FROM deliveries WHERE state = ? ORDER BY made", (DEAD,)
            )
        ]
        number, size = db.execute("SELECT count(*), ifnull(sum(length(body)), 0) FROM deliveries").fetchone()
        self._weight = size + number * _ROW_BYTES + nbytes
        if self._weight - sum([size for *_, size in dead]) > self._most_bytes:
            self._weight = self._most_bytes  # measured anew the next time
            self.log.limit("extension_deliveries_bytes", self._most_bytes)
            raise TooMany(f"what waits to be delivered has {self._most_bytes} bytes (extension_deliveries_bytes)")
        for number, ident, target, size in dead:
            if self._weight <= self._most_bytes:
                break
            db.execute("DELETE FROM deliveries WHERE rowid = ?", (number,))
            self._weight -= size
            self.log.warning("dead-forgotten", id=ident, target=target, limit="extension_deliveries_bytes")

    async def told(self, state: str | None) -> list[dict[str, Any]]:
        """For the user; those of one state, or all."""

        def read(db: sqlite3.Connection) -> list[dict[str, Any]]:
            rows = db.execute(
                "SELECT id, kind, target, type, attempts, status, error, state FROM deliveries"
                " WHERE state = ifnull(?, state) ORDER BY made, id LIMIT 10000",
                (state,),
            )
            names = ("id", "kind", "target", "type", "attempts", "status", "error", "state")
            return [dict(zip(names, map(shown, row), strict=True)) for row in rows]

        return await asyncio.wrap_future(self.keeper.do(read))

    async def retry(self, ident: str) -> bool:
        """Try it again now, dead or waiting; whether there is such a one."""

        def again(db: sqlite3.Connection) -> int:
            return db.execute(
                "UPDATE deliveries SET state = ?, due = ?, attempts = 0 WHERE id = ?", (WAITING, time.time(), ident)
            ).rowcount

        try:
            return await asyncio.wrap_future(self.keeper.do(again)) > 0
        finally:
            self._news.set()

    async def run(self) -> None:
        """Deliver, until it is cancelled."""
        at_once = self._limits.extension_deliveries_at_once
        self._under_way.clear()  # one that was cancelled before its first step has left itself there
        await self._surely(_forget_dead)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                room = at_once - len(self._under_way)
                found, due = await self._surely(lambda db: self._next(db, room))  # noqa: B023
                for delivery in found:
                    self._under_way.add((delivery.id, delivery.target))
                    tasks.create_task(self._deliver(delivery))
                # Some news are an end of what was under way: there is room then.
                wait = None if due is None or len(self._under_way) >= at_once else max(0.0, due - time.time())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._news.wait()

    def _next(self, db: sqlite3.Connection, room: int) -> tuple[list[Delivery], float | None]:
        """What is due, as far as there is room; and when the next of the others will be."""
        now = time.time()
        # None waits longer than this, unless the clock has gone back meanwhile.
        db.execute("UPDATE deliveries SET due = ? WHERE state = ? AND due > ?", (now, WAITING, now + self._longest))
        rows = db.execute(
            "SELECT id, kind, target, type, body, options, attempts, made, due, rowid FROM deliveries"
            " WHERE state = ? ORDER BY due LIMIT ?",
            (WAITING, len(self._under_way) + room + 1),
        ).fetchall()
        others = [row for row in rows if (row[0], row[2]) not in self._under_way]
        taken = [row for row in others if row[8] <= now][:room]
        left = [row[8] for row in others if row not in taken]
        found = [delivery for row in taken if (delivery := self._read(db, row)) is not None]
        return found, 0.0 if len(found) < len(taken) else min(left, default=None)

    def _read(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> Delivery | None:
        """None for what somebody else has written, and is no delivery: it must not keep the others from theirs."""
        members = dict(zip(Delivery.__struct_fields__, row, strict=False))
        try:
            if members["kind"] not in self._senders:
                raise ValueError(f"kind: found {members['kind']!r}, expected {' or '.join(sorted(self._senders))}")
            if not isinstance(members["body"], bytes):  # which would be taken for base64
                raise ValueError("body: expected bytes")
            return msgspec.convert({**members, "options": json.loads(members["options"])}, Delivery)
        except (TypeError, ValueError, RecursionError, msgspec.ValidationError) as error:
            why = f"no delivery: {error}"
        db.execute("UPDATE deliveries SET state = ?, error = ? WHERE rowid = ?", (DEAD, why[:500], row[-1]))
        self.log.error("deliveries", what=f"{self.keeper.path}: {shown(row[0])}: {why}")
        return None

    async def _deliver(self, delivery: Delivery) -> None:
        table, sender = self._senders[delivery.kind]
        try:
            receiver = await self._surely(lambda db: _row(db, table, delivery.target))
            outcome = Outcome(0, "its receiver was removed")
            if receiver is not None:
                outcome = await self._sent(sender, delivery, receiver)
            await self._surely(lambda db: self._note(db, delivery, outcome, receiver is None))
        finally:
            self._under_way.discard((delivery.id, delivery.target))
            self._news.set()

    async def _surely(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """What it gives, as soon as the disk lets it. Else what was delivered, or is just now, would be once more."""
        while True:
            try:
                return await asyncio.wrap_future(self.keeper.do(job))
            except DatabaseFailed as error:
                self.log.error("deliveries", what=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _sent(self, sender: Sender, delivery: Delivery, receiver: Mapping[str, Any]) -> Outcome:
        try:
            return await sender(delivery, receiver)
        except Exception as error:  # noqa: BLE001 - of one receiver: the others must not wait for it
            self.log.error("delivery", id=delivery.id, what=f"{type(error).__name__}: {error}")
            return Outcome(0, str(error))

    def _note(self, db: sqlite3.Connection, delivery: Delivery, outcome: Outcome, lost: bool) -> None:
        key = (delivery.id, delivery.target)
        told = {"id": delivery.id, "type": delivery.type, "status": outcome.status, "why": outcome.why}
        if outcome.good:
            db.execute("DELETE FROM deliveries WHERE id = ? AND target = ?", key)
            self.log.info("delivered", **told)
            return
        gone = outcome.status in (_GONE if delivery.kind == "webhook" else _GONE_FOR_A_PUSH)
        attempts = delivery.attempts + 1
        if gone:
            table, _ = self._senders[delivery.kind]
            db.execute(f"DELETE FROM {table} WHERE id = ?", (delivery.target,))
            self.log.warning("receiver-gone", target=delivery.target, status=outcome.status)
        over = lost or gone or attempts > len(self._retries)
        wait = 0.0 if over else max(self._retries[attempts - 1], outcome.retry_after)
        state = DEAD if over else WAITING
        db.execute(
            "UPDATE deliveries SET state = ?, attempts = ?, due = ?, status = ?, error = ? WHERE id = ? AND target = ?",
            (state, attempts, time.time() + wait, outcome.status, outcome.why[:500], *key),
        )
        self.log.warning("not-delivered", attempts=attempts, state=state, **told)

    def close(self) -> None:
        self.keeper.close()


def _forget_dead(db: sqlite3.Connection) -> None:
    before = time.time() - _DEAD_SECONDS
    db.execute("DELETE FROM deliveries WHERE state = ? AND made < ?", (DEAD, before))
    db.execute("DELETE FROM origins WHERE made < ?", (before,))


def shown(value: Any) -> Any:
    """Of a row, for the user: what is no text there, as text."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _row(db: sqlite3.Connection, table: str, ident: str) -> dict[str, Any] | None:
    cursor = db.execute(f"SELECT * FROM {table} WHERE id = ?", (ident,))
    row = cursor.fetchone()
    return None if row is None else dict(zip([column[0] for column in cursor.description], row, strict=True))
