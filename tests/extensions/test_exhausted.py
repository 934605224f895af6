"""A host that has no descriptors left, or whose disk takes nothing more, while it serves."""

import os
import queue
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from spanbridge.extensions.runner.lane import Lane

from .receiver import Received, receiving
from .site import WAIT_SECONDS, Page, Site, hello, wait_until
from .test_metrics_and_alerts import SOURCE as ALERTS
from .test_webhooks import DELIVERIES, FIRE, HERE, SOURCE, WEBHOOKS


def test_a_host_without_descriptors_waits_for_some(site: Site) -> None:
    site.extension("one", hello())
    page = site.session()
    assert page.get("/api/ext/one/").status == 200
    host = page.get("/api/extensions").json["host"]["pid"]
    soft, hard = resource.prlimit(host, resource.RLIMIT_NOFILE)
    directory = os.open(site.home.root / "runtime/spanbridge", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as knocks:
        resource.prlimit(host, resource.RLIMIT_NOFILE, (3, hard))
        knocks.connect(f"/proc/self/fd/{directory}/extensions.sock")
        before = _ticks(host)
        time.sleep(1)
        assert _ticks(host) - before < os.sysconf("SC_CLK_TCK") / 3
        (told,) = page.get("/api/extensions").json["extensions"]
        assert (told["name"], told["state"]) == ("one", "running")
        assert page.get("/api/ext/one/").status == 200
        resource.prlimit(host, resource.RLIMIT_NOFILE, (soft, hard))
    os.close(directory)
    assert site.session().get("/api/ext/one/").status == 200
    assert "extension-removed" not in site.log


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_what_was_delivered_is_not_sent_again_because_the_disk_is_full(site: Site) -> None:
    site.extension("hooks", SOURCE)
    page = site.session(**HERE)
    host = page.get("/api/extensions").json["host"]["pid"]
    _, hard = resource.prlimit(host, resource.RLIMIT_FSIZE)
    with receiving() as receiver:
        received = receiver.received

        def fill(request: Received) -> tuple[int, dict[str, str]]:
            resource.prlimit(host, resource.RLIMIT_FSIZE, (1, hard))
            return received(request)

        receiver.received = fill  # type: ignore[method-assign]
        page("POST", WEBHOOKS, {"url": receiver.url})
        page("POST", FIRE, {"event": "x"})
        receiver.take()
        time.sleep(12)  # longer than until all is begun anew
        assert receiver.empty
        receiver.received = received  # type: ignore[method-assign]
        resource.prlimit(host, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(
            lambda: page.get(DELIVERIES).json == {"deliveries": []}, "the delivery to be noted", lambda: site.log
        )
        assert receiver.empty


def test_an_alert_that_cannot_be_told_is_one_event_later_on(site: Site) -> None:
    site.extension("disk", ALERTS)
    page: Page = site.session(extension_busy_seconds=0.05)
    events = page.listen("disk", topics=["alert"])

    def disk(value: float) -> Any:
        return page("POST", "/api/ext/disk/disk", {"value": value})

    assert disk(50).status == 200
    with closing(sqlite3.connect(site.state / "deliveries.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # which others wait for, and then give up
        assert disk(95).status == 500
        db.execute("ROLLBACK")
    assert disk(96).status == 200
    assert disk(5).status == 200
    assert [page.event(events)["data"]["state"] for _ in range(2)] == ["firing", "resolved"]
    assert "deliveries.db: database is locked" in site.log


HOLDS = """
def init(router, services):
    @router.get("/:what")
    def do(req):
        try:
            DOES[req.params["what"]](services)
        except Exception as error:
            return {"why": f"{type(error).__name__}: {error}"}
        return {"why": ""}

DOES = {
    "audit": lambda services: services.audit_log("did", "thing", "1"),
    "fire": lambda services: services.webhooks.fire("x", None),
    "record": lambda services: services.metrics_history.record("n", 1),
    "define": lambda services: services.alert_engine.define("n", "n", ">", 1),
    "run": lambda services: services.db.exec("CREATE TABLE ext_one_a (n)"),
}
"""
MINE = "/api/extensions"


def test_a_database_that_another_program_holds_is_told_by_name(site: Site) -> None:
    site.extension("one", HOLDS)
    page = site.session(extension_busy_seconds=0.05)
    assert page.get("/api/ext/one/record").json == {"why": ""}

    def why(file: str, what: str) -> str:
        told = page.get(f"/api/ext/one/{what}").json["why"]
        return str(told.replace(str(site.state / file), file))

    def refused(file: str, method: str, path: str, body: Any = None) -> bool:
        told = page(method, f"{MINE}/{path}", body)
        expected = {"error": "error", "message": f"{site.state / file}: database is locked"}
        return (told.status, told.json) == (503, expected)

    with _held(site, "audit.db"):
        assert why("audit.db", "audit") == "RuntimeError: audit.db: database is locked"
        assert refused("audit.db", "GET", "audit")
        assert refused("audit.db", "POST", "one/disable")
        site.wait_log("not-audited")
    assert page.get(MINE).json["extensions"][0]["state"] == "disabled"
    assert page("POST", f"{MINE}/one/enable").status == 200
    with _held(site, "deliveries.db"):
        assert why("deliveries.db", "fire") == "RuntimeError: deliveries.db: database is locked"
        for method, path in (("GET", "webhooks"), ("GET", "webhooks/deliveries"), ("DELETE", "webhooks/x")):
            assert refused("deliveries.db", method, path)
        assert refused("deliveries.db", "POST", "webhooks", {"url": "http://192.0.2.1/", "events": ["x"]}) is False
        assert refused("deliveries.db", "POST", "webhooks", {"url": "http://8.8.8.8/", "events": ["x"]})
    with _held(site, "one/metrics.db"):
        for what in ("record", "define"):
            assert why("one/metrics.db", what) == "RuntimeError: one/metrics.db: database is locked"
    with _held(site, "one/data.db"):
        assert why("one/data.db", "run") == "SqliteError: database is locked"
    for what in ("audit", "fire", "record", "define", "run"):
        assert page.get(f"/api/ext/one/{what}").json == {"why": ""}


@pytest.mark.parametrize("file", ["data.db", "metrics.db"])
def test_an_extension_whose_database_is_held_does_not_start_and_says_why(site: Site, file: str) -> None:
    site.extension("one", HOLDS)
    path = site.state / "one" / file
    path.parent.mkdir(parents=True)
    page = site.session(extension_busy_seconds=0.05)
    with _held(site, f"one/{file}"):
        told = page.get("/api/ext/one/run")
        assert (told.status, told.json["message"]) == (503, f"{path}: database is locked")
    assert page.get("/api/ext/one/run").json == {"why": ""}


def test_a_host_whose_database_is_held_says_which(site: Site) -> None:
    site.state.mkdir(parents=True)
    with _held(site, "audit.db"):
        page = site.session(extension_busy_seconds=0.05)
        closed = page.front_end.expect("close", page.ask("GET", MINE))
        assert f"{site.state}/audit.db: database is locked" in closed["message"]


@contextmanager
def _held(site: Site, file: str) -> Iterator[None]:
    with closing(sqlite3.connect(site.state / file, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("ROLLBACK")


WITHOUT_THREADS = """
import sys, threading
from spanbridge.extensions.host.host import serve

def start(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = start
sys.exit(serve())
"""


def test_a_host_that_gets_no_thread_says_so(site: Site) -> None:
    command = [sys.executable, "-c", WITHOUT_THREADS]
    done = subprocess.run(command, env=_environ(site), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "spanbridge extension serve: can't start new thread\n")
    assert "host-failed" in site.log


def test_a_host_whose_lock_cannot_be_made_says_so(site: Site) -> None:
    lock = site.home.root / "runtime/spanbridge/extensions.lock"
    lock.mkdir(parents=True)
    page = site.session()
    channel = page.ask("GET", "/api/extensions")
    closed = page.front_end.expect("close", channel)
    assert "extensions.lock: Is a directory" in closed["message"]
    assert "host-failed" in site.log
    lock.rmdir()


def test_handlers_that_get_no_thread_have_one_later_on(capfd: pytest.CaptureFixture[str]) -> None:
    ran: queue.SimpleQueue[int] = queue.SimpleQueue()
    over = threading.Event()
    lane = Lane(over.wait)  # type: ignore[arg-type]  # nothing more comes
    with patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
        lane.put(lambda: ran.put(1))
    lane.put(lambda: ran.put(2))
    assert [ran.get(timeout=WAIT_SECONDS) for _ in range(2)] == [1, 2]
    assert "can't start new thread" in capfd.readouterr().err


def _environ(site: Site) -> dict[str, str]:
    return {**site.home.environ, "XDG_STATE_HOME": str(site.home.root / "state"), "PATH": os.environ["PATH"]}
