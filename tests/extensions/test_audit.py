"""The audit log: who did what, chained."""

import asyncio
import getpass
import hashlib
import json
import os
import sqlite3
import threading
from pathlib import Path

from spanbridge.extensions.services.audit import verify
from spanbridge.extensions.services.keeper import Keeper

from .site import Site

SOURCE = """
def init(router, services):
    services.audit_log("init", "extension", "x")

    @router.post("/write")
    def write(req):
        return {"seq": services.auditLog(req.body["action"], "item", "1", req.body.get("details"))}

    @router.get("/own")
    def own(req):
        return services.audit_log.list(after=int(req.query.get("after", 0)))
"""
AUDIT = "/api/extensions/audit"


def test_entries_and_their_chain(site: Site) -> None:
    site.extension("noted", SOURCE)
    site.extension("other", SOURCE)
    page = site.session()
    assert page("POST", "/api/ext/noted/write", {"action": "create", "details": {"b": 1, "a": "é"}}).json == {"seq": 2}
    assert page("POST", "/api/ext/other/write", {"action": "drop"}).json == {"seq": 4}
    assert [each["seq"] for each in page.get("/api/ext/noted/own").json] == [1, 2]
    assert [each["seq"] for each in page.get("/api/ext/other/own?after=3").json] == [4]
    entries = page.get(AUDIT).json["entries"]
    assert [each["actor"]["name"] for each in entries] == ["extension", getpass.getuser()] * 2
    assert entries[1]["actor"]["uid"] == os.getuid()
    assert entries[1]["details"] == {"a": "é", "b": 1}
    assert page.get(f"{AUDIT}?extension=other&limit=1").json["entries"][0]["seq"] == 3
    head = entries[-1]["hash"]
    whole = {"ok": True, "count": 4, "head": head, "first_bad": None}
    assert page.get(f"{AUDIT}/verify").json == whole
    assert page.get(f"{AUDIT}/verify?seq=2&hash={entries[1]['hash']}").json == whole
    assert page.get(f"{AUDIT}/verify?seq=2&hash={head}").json["ok"] is False
    assert page.get(f"{AUDIT}/verify?seq=9&hash={head}").json["ok"] is False
    # By hand, as anybody can.
    path = site.state / "audit.db"
    before = "0" * 64
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT seq, entry, hash FROM entries ORDER BY seq").fetchall()
    for seq, entry, digest in rows:
        told = json.loads(entry)
        assert (told["seq"], told["prev"]) == (seq, before)
        assert entry == json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert digest == hashlib.sha256(entry.encode()).hexdigest()
        before = digest
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE entries SET entry = replace(entry, 'create', 'delete') WHERE seq = 2")
    assert page.get(f"{AUDIT}/verify").json == {"ok": False, "count": 1, "head": rows[0][2], "first_bad": 2}
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM entries WHERE seq = 2")
    assert verify(str(path))["first_bad"] == 3


def test_what_is_refused(site: Site) -> None:
    site.extension("noted", SOURCE)
    page = site.session()
    for body in ({"action": "x" * 201}, {"action": "x", "details": "x" * 70_000}):
        assert page("POST", "/api/ext/noted/write", body).status == 500
    for query in ("limit=10001", "limit=x", "after=-1", "limit=1&limit=2", "after=9223372036854775808"):
        assert page.get(f"{AUDIT}?{query}").error == (400, "bad-request")
    assert page("POST", AUDIT).error == (405, "method-not-allowed")


def test_the_head_is_told_at_the_end(site: Site) -> None:
    site.extension("noted", SOURCE)
    page = site.session()
    page.get("/api/ext/noted/own")
    digest = page.get(AUDIT).json["entries"][0]["hash"]
    page.front_end.hang_up()
    site.wait_log(f"audit-head seq=1 hash={digest}")


def test_a_full_log_takes_what_the_user_does_and_nothing_of_extensions(site: Site) -> None:
    site.extension(
        "noted",
        """
        def init(router, services):
            @router.post("/fill")
            def fill(req):
                count = 0
                try:
                    while True:
                        services.audit_log("fill", "item", count, "x" * 5_000)
                        count += 1
                except RuntimeError as error:
                    return {"count": count, "why": str(error)}
        """,
    )
    page = site.session(extension_audit_bytes=200_000)
    filled = page("POST", "/api/ext/noted/fill").json
    assert "extension_audit_bytes" in filled["why"]
    assert filled["count"] > 10
    assert page("POST", "/api/ext/noted/fill").json["count"] == 0
    assert page("POST", "/api/extensions/noted/disable").status == 200
    verified = page.get(f"{AUDIT}/verify").json
    assert (verified["ok"], verified["count"]) == (True, filled["count"] + 1)
    assert site.log.count("name=extension_audit_bytes") == 1


def test_whoever_leaves_takes_no_log_along(tmp_path: Path) -> None:
    """What a page has asked for is done by a thread that all share, whether the page waits for it or not."""
    keeper = Keeper(str(tmp_path / "kept.db"), "CREATE TABLE IF NOT EXISTS kept (n INTEGER);", 5)
    begun, on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        begun.set()
        on.wait()
        db.execute("INSERT INTO kept VALUES (1)")

    async def leave() -> int:
        waiting = asyncio.wrap_future(keeper.do(slow))
        queued = asyncio.wrap_future(keeper.do(lambda db: db.execute("INSERT INTO kept VALUES (2)").rowcount))
        await asyncio.to_thread(begun.wait)
        waiting.cancel()
        queued.cancel()
        on.set()
        found = await asyncio.wrap_future(keeper.do(lambda db: db.execute("SELECT sum(n) FROM kept").fetchone()))
        return int(found[0])

    assert asyncio.run(asyncio.wait_for(leave(), 60)) == 3
    keeper.close()


def test_a_page_that_leaves_at_once_is_noted(site: Site) -> None:
    site.extension("noted", SOURCE)
    page = site.session()
    for _ in range(20):
        for action in ("disable", "enable"):
            channel = page.ask("POST", f"/api/extensions/noted/{action}")
            page.front_end.close(channel)
    assert page("POST", "/api/extensions/noted/disable").json["pid"] is None
    assert page("POST", "/api/extensions/noted/enable").status == 200
    assert page("POST", "/api/ext/noted/write", {"action": "create"}).status == 200
    assert page.get(f"{AUDIT}/verify").json["ok"] is True
