"""Limits of extensions that are set: they reach the host, and what is refused, given up or forgotten then."""

import socket
from typing import Any

from .site import Site, hello, wait_until

SOURCE = """
import asyncio, time
from spanbridge.extensions import SqliteError

def init(router, services):
    db = services.db
    db.exec("CREATE TABLE IF NOT EXISTS ext_one_t (n INTEGER)")
    rows = db.prepare("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n")

    @router.post("/hold")
    async def hold(req):
        db.exec("BEGIN")
        services.broadcast("held")
        await asyncio.sleep(3600)

    @router.get("/read")
    def read(req):
        try:
            return {"row": rows.get()}
        except SqliteError as error:
            return 409, {"why": str(error)}

    @router.get("/iterate")
    def iterate(req):
        first, second = rows.iterate(), rows.iterate()
        next(first)
        next(second)

    @router.post("/fire")
    def fire(req):
        services.webhooks.fire("event", None)

    @router.post("/write")
    def write(req):
        for name in "ab":
            with open(f"{services.files}/{name}", "w") as file:
                file.write("x" * 8_000)

    @router.post("/begin")
    def begin(req):
        import threading
        for _ in range(20):
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()

    @router.get("/slow")
    async def slow(req):
        services.broadcast("begun")
        await asyncio.sleep(3600)

    @router.get("/loop")
    async def loop(req):
        time.sleep(3600)
"""
WEBHOOKS = "/api/extensions/webhooks"


def test_of_sql_and_bodies(site: Site) -> None:
    site.extension("one", SOURCE)
    page = site.session(extension_busy_seconds=0.05, extension_iterations=1, extension_bodies_bytes=1_000)
    events = page.listen("one")
    assert page.get("/api/ext/one/iterate").status == 500
    site.wait_log("iterate: 1 iterations go on already, expected at most 1 (extension_iterations)")
    answer = page("POST", "/api/ext/one/hold", {"pad": "x" * 1_000})
    assert answer.error == (503, "busy")
    assert "(extension_bodies_bytes)" in answer.json["message"]
    page.ask("POST", "/api/ext/one/hold")
    assert page.event(events)["topic"] == "held"
    assert "(extension_busy_seconds)" in page.get("/api/ext/one/read").json["why"]
    for name in ("extension_iterations", "extension_bodies_bytes", "extension_busy_seconds"):
        assert f"limit name={name}" in site.log


def test_of_processes(site: Site) -> None:
    site.extension("one", SOURCE)
    page = site.session(
        extension_ping_seconds=0.05, extension_pong_seconds=0.2, extension_drain_seconds=0.1, extension_start_failures=1
    )
    assert page.get("/api/ext/one/loop").error == (502, "extension-died")
    site.wait_log("did not answer a ping within 0.2 s (extension_pong_seconds)")
    assert "limit name=extension_pong_seconds" in site.log
    site.extension("bad", "raise RuntimeError('again')")
    wait_until(lambda: page.get("/api/ext/bad/").error == (503, "extension-failed"), "it to fail", lambda: site.log)
    assert page.get("/api/ext/bad/").error == (503, "extension-failed")
    assert site.log.count("extension-failed extension=bad") == 1


def test_of_what_is_looked_at(site: Site) -> None:
    site.extension("one", SOURCE)
    page = site.session(extension_look_seconds=0.05, extension_files_bytes=10_000, extension_threads=20)
    over = {
        "begin": "over 20 threads (extension_threads)",
        "write": "over 10000 bytes of files (extension_files_bytes)",
    }
    for path, told in over.items():

        def is_told(path: str = path, told: str = told) -> bool:
            page("POST", f"/api/ext/one/{path}")  # one that sleeps is not looked at
            return told in site.log

        wait_until(is_told, told, lambda: site.log)


def test_of_one_that_is_replaced(site: Site) -> None:
    site.extension("one", SOURCE)
    page = site.session(extension_drain_seconds=0.1)
    events = page.listen("one")
    slow = page.ask("GET", "/api/ext/one/slow")
    assert page.event(events)["topic"] == "begun"
    site.extension("one", SOURCE, version="2")
    answer = page.receive(slow)
    assert answer.error == (502, "extension-died")
    assert "replaced" in answer.json["message"]


def test_of_deliveries(site: Site) -> None:
    site.extension("one", SOURCE)
    limits: dict[str, Any] = {"extension_delivery_allow": "127.0.0.0/8", "extension_delivery_retries": "3600"}
    page = site.session(**limits, extension_deliveries=2, extension_delivery_seconds=0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page("POST", WEBHOOKS, {"url": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        assert [page("POST", "/api/ext/one/fire").status for _ in range(3)] == [204, 204, 500]
        site.wait_log("2 deliveries wait already, at most 2 may (extension_deliveries)")
        site.wait_log("no answer after 0.05 s (extension_delivery_seconds)")


def test_of_the_log(site: Site) -> None:
    site.extension("one", hello('return print("\\n".join(["x" * 600] * 5), flush=True)'))
    page = site.session(extension_log_bytes=1_000, extension_log_lines=2)
    assert page.get("/api/ext/one/").status == 204
    wait_until(lambda: (site.state / "host.log.1").exists(), "an older log")
    site.wait_log("lines-left-out extension=one lines=3")
