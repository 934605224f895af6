"""Metrics over time, and alerts on them."""

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbridge.extensions.services.alert_engine import Alert, AlertEngine, Change, judged
from spanbridge.extensions.services.metrics_history import MetricsHistory
from spanbridge.extensions.services.moment import iso

from ..missing import lack
from .receiver import receiving
from .site import Page, Site

_BYTES = 1 << 30
_MOST = 1000


def _nobody() -> None:
    """Nobody waits for alerts."""


@pytest.fixture
def history(tmp_path: Path) -> Iterator[MetricsHistory]:
    history = MetricsHistory(str(tmp_path / "metrics.db"), _BYTES, 10, 5)
    yield history
    history.close()


def test_queries_of_raw_values(history: MetricsHistory) -> None:
    start = time.time() - 1000
    for offset, value in ((0, 1), (1, 5), (9.9, 3), (20, 7), (30, 100)):
        history.record("m", value, start + offset)

    def asked(fn: str) -> list[Any]:
        return [value for _, value in history.query("m", start, start + 30, 10, fn)]

    assert asked("avg") == [3.0, None, 7.0]
    assert asked("min") == [1.0, None, 7.0]
    assert asked("max") == [5.0, None, 7.0]
    assert asked("sum") == [9.0, None, 7.0]
    assert asked("count") == [3, None, 1]
    assert asked("last") == [3.0, None, 7.0]
    assert history.query("m", start, start + 30, 10, "avg")[1][0] == iso(start + 10)
    assert history.query("absent", iso(start), iso(start + 20), 10, "avg") == [
        [iso(start + 0), None],
        [iso(start + 10), None],
    ]
    assert history.query("m", start, start, 10, "avg") == []


IN_JAVASCRIPT = """
exports.name = 'alerts-js'
exports.version = '1'
exports.init = (router, { alertEngine }) => {
  alertEngine.define('full', 'disk.used', '>', 90, { forSeconds: 300, severity: 'critical' })
  router.get('/', (req, res) => res.json(alertEngine.list()))
  router.get('/wrong', (req, res) => {
    try {
      alertEngine.define('full', 'disk.used', '>', 90, { for_seconds: 300 })
    } catch (error) {
      res.send(error.message)
    }
  })
}
"""


def test_what_javascript_gives_by_name(shared: Site) -> None:
    if shutil.which("node") is None:
        lack("node is not installed")
    shared.extension("alerts-js", IN_JAVASCRIPT, main="main.js")
    page = shared.session()
    (alert,) = page.get("/api/ext/alerts-js/").json
    assert (alert["for_seconds"], alert["keep_seconds"], alert["severity"]) == (300, 0, "critical")
    told = page.get("/api/ext/alerts-js/wrong").body.decode()
    assert told == "for_seconds: no such option, expected forSeconds, keepSeconds, severity"


def test_old_values_are_summed_up(history: MetricsHistory) -> None:
    """By minute and by hour, as by hand."""
    chance = random.Random(3)
    hour = int(time.time() - 20 * 86_400) // 3600 * 3600
    values = sorted((hour + chance.uniform(0, 7_200), chance.uniform(-5, 5)) for _ in range(500))
    for moment, value in values:
        history.record("m", value, moment)
    for step in (60, 600, 3600):
        told = history.query("m", hour, hour + 7_200, step, "sum")
        for place, (_, value) in enumerate(told):
            inside = [each for moment, each in values if place * step <= moment - hour < (place + 1) * step]
            assert value == (pytest.approx(sum(inside)) if inside else None)
    assert (
        history.query("m", hour, hour + 3600, 3600, "last")[0][1]
        == [value for moment, value in values if moment < hour + 3600][-1]
    )


def test_what_is_refused(history: MetricsHistory) -> None:
    for metric in ("", "1a", "a b", "x" * 129, "é"):
        with pytest.raises(ValueError, match="metric"):
            history.record(metric, 1, None)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            history.record("m", value, None)
    with pytest.raises(ValueError, match="steps"):
        history.query("m", 0, 10_001, 1, "avg")
    with pytest.raises(ValueError, match="fn"):
        history.query("m", 0, 1, 1, "median")
    with pytest.raises(ValueError, match="step above 0"):
        history.query("m", 0, 1, 0, "avg")
    with pytest.raises(ValueError, match="a finite step"):
        history.query("m", 0, 1, float("inf"), "avg")
    with pytest.raises(ValueError, match="steps"):
        history.query("m", 0, 1e9, 1e-308, "avg")
    long_ago = time.time() // 60 * 60 - 3 * 86_400
    history.record("m", 1, long_ago)
    assert history.query("m", long_ago + 30, long_ago + 30, 60, "avg") == []
    assert history.query("m", long_ago + 40, long_ago + 20, 60, "avg") == []
    for number in range(9):
        history.record(f"m{number}", 1, None)
    with pytest.raises(ValueError, match="there are 10 already"):
        history.record("one_more", 1, None)


ALERT = Alert("a", "m", ">", 10.0, 60.0, 30.0, "warning", "ok", 0.0, None, 0.0, 0)


def test_states_of_an_alert() -> None:
    """Each row: when, the value (None: no new one), the state after it, and what is told."""
    alert = ALERT
    last: tuple[float, float] | None = None
    rows: list[tuple[float, float | None, str, str | None]] = [
        (0, None, "no-data", "no-data"),
        (10, 5, "ok", None),
        (20, 11, "pending", "pending"),
        (50, 12, "pending", None),
        (60, 9, "ok", None),
        (70, 11, "pending", "pending"),
        (129, 11, "pending", None),
        (130, 11, "firing", "firing"),
        (140, 9, "recovering", None),
        (150, 11, "firing", None),
        (160, 10, "recovering", None),
        (190, 10, "ok", "resolved"),
        (200, 11, "pending", "pending"),
        (260, 11, "firing", "firing"),
        (561, None, "no-data", "no-data"),
        (570, 11, "firing", None),
        (1000, None, "no-data", "no-data"),
        (1010, 1, "recovering", None),
        (1040, 1, "ok", "resolved"),
    ]
    for now, value, state, change in rows:
        if value is not None:
            last = (value, now)
        alert, told = judged(alert, last, now)
        assert (alert.state, told) == (state, change), (now, value)


@pytest.mark.parametrize("op", [">", ">=", "<", "<=", "==", "!="])
def test_operators(op: str) -> None:
    for value in (1.0, 2.0, 3.0):
        alert, _ = judged(ALERT._replace(op=op, threshold=2.0, for_seconds=0.0), (value, 0.0), 0.0)
        assert (alert.state == "firing") == eval(f"{value} {op} 2.0")  # noqa: S307 - ours


def test_a_number_that_sqlite_has_no_integer_for(history: MetricsHistory) -> None:
    engine = AlertEngine(history, lambda change: None, _nobody, _MOST, pytest.fail)
    engine.define("a", "m", ">", 2**63, 0, 0, "warning")
    history.record("m", 2**64, time.time())
    assert engine.evaluate()[0]["state"] == "firing"


def test_times_that_cannot_be_told_are_refused(history: MetricsHistory) -> None:
    """And do not make lists fail later."""
    engine = AlertEngine(history, lambda change: None, _nobody, _MOST, pytest.fail)
    engine.define("a", "m", ">", 1, 0, 0, "warning")
    for seconds in (1e300, 1e12, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="silence"):
            engine.silence("a", seconds)
    for moment in (1e300, 1e12, -1e12, float("nan"), "yesterday", None):
        with pytest.raises(ValueError, match="1970"):
            history.query("m", moment, time.time(), 10, "avg")
        if moment is not None:
            with pytest.raises(ValueError, match="1970"):
                history.record("m", 1, moment)
    engine.silence("a", 86_400 * 365)
    assert engine.evaluate()[0]["state"] == "no-data"


def test_a_full_file_takes_no_more_and_is_read_and_evaluated(tmp_path: Path) -> None:
    history = MetricsHistory(str(tmp_path / "metrics.db"), 200_000, _MOST, 5)
    engine = AlertEngine(history, lambda change: None, _nobody, _MOST, pytest.fail)
    engine.define("a", "m", ">", 1, 0, 0, "warning")

    def record_for_ever() -> None:
        while True:
            history.record("m", 2, None)

    with pytest.raises(RuntimeError, match="extension_database_bytes"):
        record_for_ever()
    now = time.time()
    ((_, count),) = history.query("m", now - 3600, now + 1, 3601, "count")
    assert count > 100
    assert engine.evaluate()[0]["state"] == "firing"
    assert (tmp_path / "metrics.db").stat().st_size <= 200_000
    history.close()


def test_a_full_file_lets_go_of_what_is_too_old(tmp_path: Path) -> None:
    history = MetricsHistory(str(tmp_path / "metrics.db"), 200_000, _MOST, 5)
    history.record("now", 1, None)  # after which nothing is forgotten by itself for some minutes
    long_ago = time.time() - 3 * 86_400
    for number in range(8_000):  # more than there is room for
        history.record("old", number, long_ago)
    assert (tmp_path / "metrics.db").stat().st_size <= 200_000
    assert history.last("old") == (7_999, long_ago)
    history.close()


def test_a_change_is_told_once_whatever_is_killed(tmp_path: Path) -> None:
    told: list[Change] = []
    history = MetricsHistory(str(tmp_path / "metrics.db"), _BYTES, _MOST, 5)

    def killed(change: Change) -> None:
        told.append(change)
        raise KeyboardInterrupt

    engine = AlertEngine(history, killed, _nobody, _MOST, pytest.fail)
    engine.define("a", "m", ">", 1, 0, 0, "warning")
    history.record("m", 2, None)
    with pytest.raises(KeyboardInterrupt):
        engine.evaluate()
    history.close()
    history = MetricsHistory(str(tmp_path / "metrics.db"), _BYTES, _MOST, 5)
    engine = AlertEngine(history, told.append, _nobody, _MOST, pytest.fail)
    engine.evaluate()
    assert [change.state for change in told] == ["firing", "firing"]
    assert told[0] == told[1]  # the same once more: its receiver knows it
    engine.evaluate()
    assert len(told) == 2
    history.close()


TIMED = """
def init(router, services):
    services.alert_engine.define("full", "disk", ">", 90)

    @router.post("/disk")
    def disk(req):
        services.metrics_history.record("disk", req.body["value"])
"""


def test_alerts_are_looked_at_by_themselves(site: Site) -> None:
    """Nobody asks for an evaluation."""
    site.extension("timed", TIMED)
    page = site.session(extension_alert_seconds=0.05)
    events = page.listen("timed", topics=["alert"])
    for value, state in ((95, "firing"), (5, "resolved")):
        assert page("POST", "/api/ext/timed/disk", {"value": value}).status == 204
        while (told := page.event(events)["data"])["state"] != state:
            assert told["state"] in ("no-data", "pending")


SOURCE = """
def init(router, services):
    alerts, history = services.alert_engine, services.metrics_history
    alerts.define("full", "disk", ">", 90, severity="critical")

    @router.post("/disk")
    def disk(req):
        history.record("disk", req.body["value"])
        return alerts.evaluate()

    @router.post("/silence")
    def silence(req):
        alerts.silence("full", req.body["seconds"])

    @router.get("/disk")
    def told(req):
        import time
        return history.query("disk", time.time() - 60, time.time() + 1, 100, "last")
"""


def test_an_alert_is_an_event_and_a_webhook(site: Site) -> None:
    site.extension("disk", SOURCE)
    bridge = site.bridge(extension_delivery_allow="127.0.0.0/8")
    page = Page(bridge.front_end)
    with receiving() as receiver:
        page("POST", "/api/extensions/webhooks", {"url": receiver.url, "events": ["disk.alert.*"]})
        events = page.listen("disk", topics=["alert"])

        def disk(value: float) -> str:
            (alert,) = page("POST", "/api/ext/disk/disk", {"value": value}).json
            return str(alert["state"])

        assert disk(50) == "ok"
        assert disk(95) == "firing"
        assert page.event(events)["data"] == {"alert": "full", "state": "firing", "value": 95.0, "severity": "critical"}
        assert b'"disk.alert.firing"' in receiver.take().body
        assert disk(96) == "firing"
        # States are on disk: no second firing after the host was killed.
        host = page.get("/api/extensions").json["host"]["pid"]
        import os
        import signal

        os.kill(host, signal.SIGKILL)
        page.front_end.expect("close", events, problem="terminated")
        assert disk(97) == "firing"
        events = page.listen("disk", topics=["alert"])
        assert disk(5) == "ok"
        assert page.event(events)["data"]["state"] == "resolved"
        assert b'"disk.alert.resolved"' in receiver.take().body
        assert page("POST", "/api/ext/disk/silence", {"seconds": 60}).status == 204
        assert disk(99) == "firing"
        assert page.event(events)["data"]["state"] == "firing"
        (listed,) = page.get("/api/extensions/alerts").json["alerts"]
        assert (listed["extension"], listed["name"], listed["state"]) == ("disk", "full", "firing")
        assert listed["silenced_until"] is not None
        ((_, value),) = page.get("/api/ext/disk/disk").json
        assert value == 99.0
        assert page.get("/api/extensions/webhooks/deliveries").json == {"deliveries": []}
        assert receiver.empty
    with sqlite3.connect(site.state / "disk" / "metrics.db") as raw:
        assert raw.execute("SELECT count(*) FROM untold").fetchone() == (0,)


def test_what_somebody_has_written_among_the_alerts_keeps_none_of_the_others(tmp_path: Path) -> None:
    history = MetricsHistory(str(tmp_path / "metrics.db"), _BYTES, _MOST, 5)
    told: list[Change] = []
    wrong: list[str] = []
    engine = AlertEngine(history, told.append, _nobody, _MOST, wrong.append)
    history.record("n", 5, None)
    engine.define("good", "n", ">", 1, 0, 0, "warning")
    for number, change in enumerate(
        ("op = '=>'", "severity = 'grave'", "state = 'odd'", "since = 'then'", "since = 9e99", "metric = x'ff'")
    ):
        engine.define(f"{number}", "n", ">", 1, 0, 0, "warning")
        history.db.execute(f"UPDATE alerts SET {change} WHERE name = '{number}'")
    history.db.execute("UPDATE alerts SET name = CAST(x'ff' AS TEXT) WHERE name = '0'")
    history.db.execute("INSERT INTO untold (name, state, since, severity, silenced) VALUES ('0', 'x', 'then', '', 0)")
    listed = engine.evaluate()
    assert [(change.name, change.state) for change in told] == [("good", "firing")]
    assert [each["name"] for each in listed if "broken" not in each] == ["good"]
    assert [each["name"] for each in listed if "broken" in each] == ["1", "2", "3", "4", "5", "b'\\xff'"]
    assert len(wrong) == 7
    assert all(each.startswith(f"{tmp_path}/metrics.db: ") for each in wrong)
    history.close()


_FN = {"last_time": "last"}


@pytest.mark.parametrize("wrong", ["'abc'", "x'ff'", "NULL"])
@pytest.mark.parametrize("member", ["last", "last_time", "min", "max", "sum"])
def test_what_is_no_number_among_the_metrics_keeps_none_of_the_others(tmp_path: Path, wrong: str, member: str) -> None:
    history = MetricsHistory(str(tmp_path / "metrics.db"), _BYTES, _MOST, 5)
    changes: list[Change] = []
    engine = AlertEngine(history, changes.append, _nobody, _MOST, pytest.fail)
    now = time.time()
    for name in ("bad", "good"):
        history.record(name, 5, now - 7_200)
        history.record(name, 5, now)
        engine.define(name, name, ">", 1, 0, 0, "warning")
    for table, column in (("raw", "value"), ("minutes", member), ("hours", member)):
        history.db.execute(
            f"UPDATE {table} SET {column} = {wrong}"
            " WHERE metric = (SELECT id FROM metrics WHERE name = 'bad') AND time >= ?",
            (now - 3_700,),
        )
    assert {each["name"] for each in engine.evaluate()} == {"bad", "good"}
    assert ("good", "firing") in [(change.name, change.state) for change in changes]
    for step in (1.0, 60.0, 3_600.0):
        first = (now // 3_600 - 2) * 3_600
        for name in ("bad", "good"):
            told = history.query(
                name, first, first + 3 * 3_600 if step > 1 else first + 9_000, step, _FN.get(member, member)
            )
            assert {type(value) for _, value in told} <= {float, type(None)}
    history.close()
