"""Metrics of one extension over time: raw for two days, by minute for a month, by hour for two years."""

import math
import re
import sqlite3
import time
from typing import Any, Final, NamedTuple

from ..errors import OverLimit
from .keeper import naming_file, opened
from .moment import iso, seconds_of

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_STEPS: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS raw (metric INTEGER, time REAL, value REAL);
CREATE INDEX IF NOT EXISTS raw_by_time ON raw (metric, time);
CREATE TABLE IF NOT EXISTS minutes (
    metric INTEGER, time REAL, min REAL, max REAL, sum REAL, count INTEGER, last REAL, last_time REAL,
    PRIMARY KEY (metric, time)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hours (
    metric INTEGER, time REAL, min REAL, max REAL, sum REAL, count INTEGER, last REAL, last_time REAL,
    PRIMARY KEY (metric, time)
) WITHOUT ROWID;
"""


class Level(NamedTuple):
    """A table of summaries: how long each of its rows is, and is kept; in seconds."""

    table: str
    step: float
    kept: float


_RAW_KEPT: Final = 2 * 86_400.0
_LEVELS: Final = (Level("minutes", 60.0, 30 * 86_400.0), Level("hours", 3_600.0, 2 * 365 * 86_400.0))
_FORGET_SECONDS: Final = 600.0
_FUNCTIONS: Final = {
    "avg": lambda part: part.sum / part.number,
    "min": lambda part: part.min,
    "max": lambda part: part.max,
    "sum": lambda part: part.sum,
    "count": lambda part: part.number,
    "last": lambda part: part.last,
}


class Part(NamedTuple):
    """Some values of a metric, taken together."""

    min: float
    max: float
    sum: float
    number: int
    last: float
    last_time: float

    @property
    def is_whole(self) -> bool:
        """Whether all of it is numbers: somebody else may have written into the file."""
        return all(isinstance(each, (int, float)) for each in self)

    def plus(self, other: "Part") -> "Part":
        newer = other if other.last_time >= self.last_time else self
        return Part(
            min(self.min, other.min),
            max(self.max, other.max),
            self.sum + other.sum,
            self.number + other.number,
            newer.last,
            newer.last_time,
        )


class MetricsHistory:
    """A file, used by the thread of the desk alone. A record adds to the raw values and to each level."""

    def __init__(self, path: str, most_bytes: int, most: int, seconds: float) -> None:
        """`most_bytes` of the file, `most` metrics. `seconds`: how long whoever holds its lock is waited for.

        Raises DatabaseFailed, OSError.
        """
        self.path = path
        self._most = most
        self.db = self._db = opened(path, seconds, "NORMAL")
        self._most_bytes = most_bytes
        self._ids: dict[str, int] = {}
        self._forgotten = 0.0
        self._prepare()

    @naming_file
    def _prepare(self) -> None:
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        self._db.execute(f"PRAGMA max_page_count={max(self._most_bytes // size, 1)}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self.db.close()

    @naming_file
    def record(self, metric: str, value: float, when: Any) -> None:
        """Raises ValueError; RuntimeError if there is no more room."""
        moment = time.time() if when is None else seconds_of(when)
        if not math.isfinite(value) or not math.isfinite(moment):
            raise ValueError(f"metrics_history.record: {value!r} at {moment!r}, expected finite numbers")
        for last in (False, True):
            try:
                self._record(metric, float(value), moment)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise
            if last or not self._forget():  # what is too old goes at the latest when there is no more room
                most = self._most_bytes
                raise RuntimeError(f"metrics_history.record: over {most} bytes (extension_database_bytes)")

    def _record(self, metric: str, value: float, moment: float) -> None:
        """Raises ValueError, sqlite3.Error; nothing is recorded then."""
        db = self._db
        db.execute("BEGIN")
        try:
            ident = self._id(metric)
            db.execute("INSERT INTO raw VALUES (?, ?, ?)", (ident, moment, value))
            for level in _LEVELS:
                self._add(level, ident, moment, value)
            if abs(time.time() - self._forgotten) > _FORGET_SECONDS:
                self._forget()
            db.execute("COMMIT")
        except BaseException:
            self._ids.clear()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _add(self, level: Level, ident: int, moment: float, value: float) -> None:
        start = math.floor(moment / level.step) * level.step
        self._db.execute(
            f"INSERT INTO {level.table} VALUES (?1, ?2, ?3, ?3, ?3, 1, ?3, ?4) ON CONFLICT (metric, time) DO UPDATE SET"
            " min = min(min, ?3), max = max(max, ?3), sum = sum + ?3, count = count + 1,"
            " last = iif(?4 >= last_time, ?3, last), last_time = max(last_time, ?4)",
            (ident, start, value, moment),
        )

    def _id(self, metric: str) -> int:
        ident = self._ids.get(metric)
        if ident is not None:
            return ident
        if not NAME.fullmatch(metric):
            raise ValueError(f"the metric {metric!r}: expected {NAME.pattern}")
        row = self._db.execute("SELECT id FROM metrics WHERE name = ?", (metric,)).fetchone()
        if row is None:
            (count,) = self._db.execute("SELECT count(*) FROM metrics").fetchone()
            if count >= self._most:
                what = f"metrics_history.record: the metric {metric!r}: there are {count} already"
                raise OverLimit(what, "extension_metrics", self._most)
            row = self._db.execute("INSERT INTO metrics (name) VALUES (?) RETURNING id", (metric,)).fetchone()
        self._ids[metric] = int(row[0])
        return int(row[0])

    def _forget(self) -> int:
        """What is older than it is kept; how many rows that were."""
        before = self._db.total_changes
        self._forgotten = now = time.time()
        self._db.execute("DELETE FROM raw WHERE time < ?", (now - _RAW_KEPT,))
        for level in _LEVELS:
            self._db.execute(f"DELETE FROM {level.table} WHERE time < ?", (now - level.kept,))
        return self._db.total_changes - before

    def last(self, metric: str) -> tuple[float, float] | None:
        """The latest value, and when it was. What somebody else has written there, and is no number, is none."""
        row = self._db.execute(
            "SELECT h.last, h.last_time FROM hours AS h JOIN metrics AS m ON m.id = h.metric"
            " WHERE m.name = ? AND typeof(h.last) = 'real' AND typeof(h.last_time) = 'real'"
            " ORDER BY h.last_time DESC LIMIT 1",
            (metric,),
        ).fetchone()
        return None if row is None else (row[0], row[1])

    @naming_file
    def query(self, metric: str, start: Any, end: Any, step: float, fn: str) -> list[list[Any]]:
        """One pair for each step. Raises ValueError."""
        function = _FUNCTIONS.get(fn)
        if function is None:
            raise ValueError(f"metrics_history.query: fn {fn!r}, expected one of {', '.join(_FUNCTIONS)}")
        first, past = seconds_of(start), seconds_of(end)
        if not (step > 0 and math.isfinite(step) and math.isfinite(past - first)):
            raise ValueError("metrics_history.query: expected finite times, and a finite step above 0")
        if (past - first) / step > _STEPS:
            raise ValueError(f"metrics_history.query: {(past - first) / step:g} steps, expected at most {_STEPS}")
        if past <= first:  # a coarse level may have something that begins before both
            return []
        count = max(1, math.ceil((past - first) / step))
        steps: list[Part | None] = [None] * count
        for moment, part in self._parts(metric, first, past, step):
            place = min(int((moment - first) / step), count - 1)
            before = steps[place]
            steps[place] = part if before is None else before.plus(part)
        return [
            [iso(first + place * step), None if part is None else function(part)] for place, part in enumerate(steps)
        ]

    def _parts(self, metric: str, first: float, past: float, step: float) -> list[tuple[float, Part]]:
        """From the coarsest level that the steps allow, unless finer ones are there for all of the time."""
        row = self._db.execute("SELECT id FROM metrics WHERE name = ?", (metric,)).fetchone()
        if row is None:
            return []
        level = self._level(first, step)
        if level is None:
            rows = self._db.execute(
                "SELECT time, value FROM raw WHERE metric = ? AND time >= ? AND time < ? ORDER BY time",
                (row[0], first, past),
            )
            raw = [(moment, Part(value, value, value, 1, value, moment)) for moment, value in rows]
            return [each for each in raw if each[1].is_whole]
        rows = self._db.execute(
            f"SELECT time, min, max, sum, count, last, last_time FROM {level.table}"
            " WHERE metric = ? AND time >= ? AND time < ? ORDER BY time",
            (row[0], math.floor(first / level.step) * level.step, past),
        )
        found = [(max(each[0], first), Part(*each[1:])) for each in rows]
        return [each for each in found if each[1].is_whole]

    def _level(self, first: float, step: float) -> Level | None:
        """None: the raw values."""
        age = time.time() - first
        fits = [level for level in _LEVELS if step % level.step == 0 and first % level.step == 0]
        if age <= _RAW_KEPT and (not fits or step < 3_600):
            return None
        if fits:
            within = [level for level in fits if age <= level.kept]
            return (within or fits)[0]
        return next((level for level in _LEVELS if age <= level.kept), _LEVELS[-1])
