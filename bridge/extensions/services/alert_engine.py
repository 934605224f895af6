"""Alerts of one extension: conditions on the last value of a metric, and what became of them."""

import math
import operator
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from ..errors import OverLimit
from .keeper import naming_file
from .moment import LAST, iso

OK, PENDING, FIRING, RECOVERING, NO_DATA = "ok", "pending", "firing", "recovering", "no-data"
NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
SEVERITIES: Final = ("info", "warning", "critical")
_STATES: Final = (OK, PENDING, FIRING, RECOVERING, NO_DATA)
_OLD_SECONDS: Final = 300.0
_SILENT_SECONDS: Final = 10 * 366 * 86_400.0
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alerts (
    name TEXT PRIMARY KEY, metric TEXT NOT NULL, op TEXT NOT NULL, threshold REAL NOT NULL, for_seconds REAL NOT NULL,
    keep_seconds REAL NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL, value REAL,
    silent_until REAL NOT NULL, active INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS untold (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL, value REAL,
    severity TEXT NOT NULL, silenced INTEGER NOT NULL
);
"""
_COLUMNS: Final = (
    "name, metric, op, threshold, for_seconds, keep_seconds, severity, state, since, value, silent_until, active"
)


class Alert(NamedTuple):
    """`since`: when it came into its state. `active`: it has fired, and was not resolved."""

    name: str
    metric: str
    op: str
    threshold: float
    for_seconds: float
    keep_seconds: float
    severity: str
    state: str
    since: float
    value: float | None
    silent_until: float
    active: int

    def told(self) -> dict[str, Any]:
        """As lists have it."""
        return {
            "name": self.name,
            "metric": self.metric,
            "op": self.op,
            "threshold": self.threshold,
            "for_seconds": self.for_seconds,
            "keep_seconds": self.keep_seconds,
            "severity": self.severity,
            "state": self.state,
            "since": iso(self.since),
            "value": self.value,
            "silenced_until": iso(min(self.silent_until, LAST)) if self.silent_until > time.time() else None,
        }


class Change(NamedTuple):
    """What is to be told: `state` is pending, firing, resolved or no-data. `since`: when it came about."""

    name: str
    state: str
    since: float
    value: float | None
    severity: str
    silenced: int


def judged(alert: Alert, last: tuple[float, float] | None, now: float) -> tuple[Alert, str | None]:
    """The alert after a look at the last value and its time; and the change to tell, if there is one."""
    if last is None or now - last[1] > _OLD_SECONDS:
        if alert.state == NO_DATA:
            return alert, None
        return alert._replace(state=NO_DATA, since=now, value=None), NO_DATA
    value = last[0]
    true = _OPERATORS[alert.op](value, alert.threshold)
    alert = alert._replace(value=value)
    state, since = alert.state, alert.since
    if state == NO_DATA:  # it goes on where it was
        state, since = (FIRING, now) if alert.active else (OK, now)
    if true and state == OK:
        state, since = PENDING, now
        if alert.for_seconds > 0:
            return alert._replace(state=state, since=since), PENDING
    if not true and state == FIRING:
        state, since = RECOVERING, now
    if true and state == RECOVERING:
        state, since = FIRING, now
    if state == PENDING:
        if not true:
            state, since = OK, now
        elif now - since >= alert.for_seconds:
            return alert._replace(state=FIRING, since=now, active=1), FIRING
    if state == RECOVERING and now - since >= alert.keep_seconds:
        return alert._replace(state=OK, since=now, active=0), "resolved"
    return alert._replace(state=state, since=since), None


class _History(Protocol):
    """The metrics, in whose file alerts are."""

    path: str
    db: sqlite3.Connection

    def last(self, metric: str) -> tuple[float, float] | None: ...


class AlertEngine:
    """On a connection of the desk's, in its thread.

    A change is on disk together with the note that it is to be told. `tell` may be called for it a second time, after
    the host was killed: whoever is told knows by name, state and time. `defined` is called when there are some to be
    looked at from now on, `wrong` with what somebody else has written into the file, and is none.
    """

    def __init__(
        self,
        history: _History,
        tell: Callable[[Change], None],
        defined: Callable[[], None],
        most: int,
        wrong: Callable[[str], None],
    ) -> None:
        """In the file of the metrics. Raises DatabaseFailed."""
        self.path = history.path
        self._db = history.db
        self._most = most
        self._last = history.last
        self._tell = tell
        self._defined = defined
        self._wrong = wrong
        self._prepare()

    @naming_file
    def _prepare(self) -> None:
        self._db.executescript(_SCHEMA)
        self._tell_untold()
        if self._db.execute("SELECT 1 FROM alerts LIMIT 1").fetchone() is not None:
            self._defined()

    @naming_file
    def define(
        self,
        name: str,
        metric: str,
        op: str,
        threshold: float,
        for_seconds: float,
        keep_seconds: float,
        severity: str,
    ) -> None:
        """Raises ValueError."""
        if not NAME.fullmatch(name):
            raise ValueError(f"alert_engine.define: the name {name!r}, expected {NAME.pattern}")
        if op not in _OPERATORS:
            raise ValueError(f"alert_engine.define: op {op!r}, expected one of {' '.join(_OPERATORS)}")
        if severity not in SEVERITIES:
            raise ValueError(f"alert_engine.define: severity {severity!r}, expected one of {', '.join(SEVERITIES)}")
        numbers = (threshold, for_seconds, keep_seconds)
        if not all(math.isfinite(number) for number in numbers) or for_seconds < 0 or keep_seconds < 0:
            raise ValueError("alert_engine.define: expected finite numbers, and seconds of 0 or more")
        (count,) = self._db.execute("SELECT count(*) FROM alerts WHERE name != ?", (name,)).fetchone()
        if count >= self._most:
            what = f"alert_engine.define: the alert {name!r}: there are {count} already"
            raise OverLimit(what, "extension_alerts", self._most)
        self._db.execute(
            f"INSERT INTO alerts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0)"
            " ON CONFLICT (name) DO UPDATE SET metric = excluded.metric, op = excluded.op,"
            " threshold = excluded.threshold,"
            " for_seconds = excluded.for_seconds, keep_seconds = excluded.keep_seconds, severity = excluded.severity",
            (name, metric, op, *map(float, numbers), severity, OK, time.time()),
        )
        self._defined()

    @naming_file
    def evaluate(self) -> list[dict[str, Any]]:
        """Look at all of them now; their states."""
        now = time.time()
        self._db.execute("BEGIN")
        try:
            alerts, broken = self._all()
            for why in broken.values():
                self._wrong(f"{self.path}: {why}")
            for alert in alerts:
                after, change = judged(alert, self._last(alert.metric), now)
                if after != alert:
                    self._db.execute(
                        "UPDATE alerts SET state = ?, since = ?, value = ?, active = ? WHERE name = ?",
                        (after.state, after.since, after.value, after.active, after.name),
                    )
                if change is not None:
                    self._db.execute(
                        "INSERT INTO untold (name, state, since, value, severity, silenced) VALUES (?, ?, ?, ?, ?, ?)",
                        (after.name, change, now, after.value, after.severity, now < alert.silent_until),
                    )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._tell_untold()
        return self.list()

    def _tell_untold(self) -> None:
        sql = "SELECT id, name, state, since, value, severity, silenced FROM untold ORDER BY id"
        for ident, *members in self._db.execute(sql).fetchall():
            try:
                change = msgspec.convert(members, Change)
            except msgspec.ValidationError as error:
                self._wrong(f"{self.path}: a change of {members[0]!r}: {error}")
            else:
                self._tell(change)
            self._db.execute("DELETE FROM untold WHERE id = ?", (ident,))

    @naming_file
    def evaluate_if_any(self) -> bool:
        """The same where there are alerts; whether there are."""
        there_are = self._db.execute("SELECT 1 FROM alerts LIMIT 1").fetchone() is not None
        if there_are:
            self.evaluate()
        return there_are

    @naming_file
    def list(self) -> "list[dict[str, Any]]":
        alerts, broken = self._all()
        return [alert.told() for alert in alerts] + [{"name": name, "broken": why} for name, why in broken.items()]

    @naming_file
    def silence(self, name: str, seconds: float) -> None:
        """Raises ValueError."""
        if not 0 <= seconds <= _SILENT_SECONDS:
            raise ValueError(f"alert_engine.silence: expected seconds from 0 to {_SILENT_SECONDS:.0f}")
        until = time.time() + seconds
        if not self._db.execute("UPDATE alerts SET silent_until = ? WHERE name = ?", (until, name)).rowcount:
            raise ValueError(f"there is no alert {name!r}")

    @naming_file
    def remove(self, name: str) -> None:
        self._db.execute("DELETE FROM alerts WHERE name = ?", (name,))

    def _all(self) -> tuple[Sequence[Alert], dict[str, str]]:
        """And by name, why what somebody else has written is none: the others are looked at all the same."""
        alerts, broken = [], {}
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM alerts ORDER BY name").fetchall():
            try:
                alerts.append(_alert(row))
            except (ValueError, OverflowError, OSError) as error:
                name = row[0] if isinstance(row[0], str) else repr(row[0])
                broken[name] = f"the alert {name}: {error}"
        return alerts, broken


def _alert(row: tuple[Any, ...]) -> Alert:
    """Raises ValueError, and what a moment raises that no calendar has."""
    alert = msgspec.convert(row, Alert)
    for member, words in (("op", _OPERATORS), ("severity", SEVERITIES), ("state", _STATES)):
        if getattr(alert, member) not in words:
            raise ValueError(f"{member}: found {getattr(alert, member)!r}, expected one of {' '.join(words)}")
    alert.told()
    return alert
