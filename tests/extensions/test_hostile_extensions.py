"""Extensions that take too much, lie, or die at the worst moment: each alone is harmed."""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.extensions.host.watch import usage_of
from spanbridge.extensions.services.audit import verify

from ..missing import lack
from .receiver import receiving
from .site import Answer, Page, Site, hello, wait_until

SOURCE = """
import os, socket, struct, sys, threading, time

main = socket.socket(fileno=os.dup(3))
calls = socket.socket(fileno=os.dup(4))

def framed(data):
    return struct.pack("<I", len(data)) + data

def init(router, services):
    @router.post("/memory")
    def memory(req):
        kept = []
        while True:
            kept.append(bytearray(1 << 24))  # that nobody has to fill

    @router.post("/descriptors")
    def descriptors(req):
        kept = []
        while True:
            kept.append(os.dup(2))

    @router.post("/disk")
    def disk(req):
        with open(services.files + "/x", "wb") as file:
            while True:
                file.write(b"x" * (1 << 20))

    @router.post("/loop")
    def loop(req):
        while True:
            pass

    @router.post("/garbage")
    def garbage(req):
        main.sendall(framed(b"\\xc1"))
        time.sleep(3600)

    @router.post("/lies")
    def lies(req):
        import msgspec
        for message in req.body:
            main.sendall(framed(msgspec.msgpack.encode(message)))
        time.sleep(3600)

    @router.post("/long")
    def long(req):
        main.sendall(struct.pack("<I", 1 << 31))
        time.sleep(3600)

    @router.post("/calls")
    def bad_call(req):
        calls.sendall(framed(b"\\x01"))
        time.sleep(3600)

    @router.post("/unread")
    def unread(req):
        import msgspec
        threading.Thread(target=lambda: [calls.sendall(framed(msgspec.msgpack.encode(
            [n, 0, 0, "db.get", ["SELECT zeroblob(1000000)", []]]))) for n in range(1000)]).start()
        time.sleep(3600)

    @router.post("/closes")
    def closes(req):
        os.close(3)
        os.close(4)
        main.shutdown(2)
        time.sleep(3600)

    @router.post("/hangs-up")
    def hangs_up(req):
        os.close(4)
        calls.shutdown(2)
        time.sleep(3600)

    @router.post("/query")
    def query(req):
        endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum(x) FROM c"
        services.db.prepare(endless).get()

    @router.post("/compile")
    def compiled(req):
        twice = "".join(f", a{n} AS (SELECT x FROM a{n - 1} UNION ALL SELECT x FROM a{n - 1})" for n in range(1, 20))
        services.db.prepare(f"WITH a0 AS (SELECT 1 AS x){twice} SELECT x FROM a19").get()

    @router.get("/large")
    def large(req):
        return services.db.prepare("SELECT hex(zeroblob(8000000)) a, hex(zeroblob(8000000)) b, 1 c").all()

    @router.get("/exit")
    def leaves(req):
        sys.exit(3)

    @router.get("/async-exit")
    async def leaves_too(req):
        sys.exit(3)

    @router.get("/cancelled")
    async def cancelled(req):
        import asyncio
        raise asyncio.CancelledError

    @router.get("/interrupted")
    def interrupted(req):
        raise KeyboardInterrupt

    @router.get("/generator-exit")
    async def generator_exit(req):
        sys.exit(3)
        yield

    @router.get("/generator-cancelled")
    async def generator_cancelled(req):
        import asyncio
        raise asyncio.CancelledError
        yield

    @router.get("/cancelled-later")
    async def cancelled_later(req):
        import asyncio
        yield "some"
        raise asyncio.CancelledError

    class Unhashable:
        __hash__ = None

        def __call__(self, req):
            return (piece for piece in ["as a ", "generator"])

    router.get("/unhashable", Unhashable())

    @router.get("/too-late")
    def too_late(req, res):
        res.json({"answered": True})
        raise RuntimeError("after the answer")

    @router.get("/headers")
    def headers(req, res):
        res.set("X-Long", "x" * 5_000_000).json({})

    @router.get("/mute")
    def mute(req):
        os.close(1)
        os.close(2)
        raise RuntimeError("that nobody hears")

    @router.get("/half")
    def half(req):
        return {"text": "half a " + chr(0xd83d)}

    @router.get("/well")
    def well(req):
        return {"well": True}
"""
LIMITS: dict[str, Any] = {
    "extension_memory_bytes": 256 << 20,
    "extension_files_bytes": 1 << 22,
    "extension_query_seconds": 0.3,
    "extension_descriptors": 50,
    "extension_request_seconds": 2,
}


@pytest.fixture(scope="module")
def page(shared: Site) -> Iterator[Page]:
    shared.extension("bad", SOURCE)
    shared.extension("good", hello())
    page = shared.session(**LIMITS)
    host = page.get("/api/extensions").json["host"]["pid"]
    assert resource.prlimit(host, resource.RLIMIT_FSIZE)[0] == (1 << 30) + (64 << 20)
    yield page
    assert page.get("/api/extensions").json["host"]["pid"] == host
    assert page.get("/api/ext/good/").status == 200
    (told,) = [each for each in page.get("/api/extensions").json["extensions"] if each["name"] == "good"]
    assert told["restarts"] == 0


def lie(*messages: Any) -> list[Any]:
    return [list(message) for message in messages]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("memory", None, 500, "MemoryError"),
        ("disk", None, 500, "File too large"),
        ("descriptors", None, 500, "Too many open files"),
        ("loop", None, 504, "did not answer in time"),
        ("query", None, 500, "limit name=extension_query_seconds"),
        ("garbage", None, 502, "inner-protocol"),
        ("long", None, 502, "extension_message_bytes"),
        ("lies", lie(("response", 99_999, 200, [], "x", True)), 502, "inner-protocol"),
        ("lies", lie(("response", "x", 200, [], "", True)), 502, "inner-protocol"),
        ("lies", lie(("ready", "bad", "1")), 502, "ready a second time"),
        ("lies", lie(("nonsense", 1)), 502, "inner-protocol"),
        ("lies", lie(("ended", 77_777)), 502, "inner-protocol"),
        ("lies", lie(("failed", "I give up")), 502, "I give up"),
        ("calls", None, 502, "inner protocol"),
        ("closes", None, 502, "ended with status 0"),
        ("hangs-up", None, 502, "it has closed its socket"),
    ],
)
def test_it_is_harmed_alone(page: Page, shared: Site, path: str, body: Any, status: int, said: str) -> None:
    before = len(shared.log)
    answer = page("POST", f"/api/ext/bad/{path}", body if body is not None else {})
    assert answer.status == status
    wait_until(lambda: said in shared.log[before:], f"{said!r} in the log", lambda: shared.log[before:])
    assert page.get("/api/ext/good/").status == 200
    wait_until(lambda: page.get("/api/ext/bad/well").status == 200, "it to be well again", lambda: shared.log[before:])


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("exit", 500, b"internal-error"),
        ("async-exit", 500, b"internal-error"),
        ("cancelled", 500, b"internal-error"),
        ("interrupted", 500, b"internal-error"),
        ("generator-exit", 500, b"internal-error"),
        ("generator-cancelled", 500, b"internal-error"),
        ("cancelled-later", 200, b"some"),
        ("unhashable", 200, b"as a generator"),
        ("too-late", 200, b'{"answered":true}'),
        ("headers", 500, b"its answer cannot be sent"),
        ("mute", 500, b"internal-error"),
        ("half", 200, b'{"text": "half a \\ud83d"}'),
    ],
)
def test_whatever_a_handler_ends_with_is_an_answer(page: Page, path: str, status: int, body: bytes) -> None:
    answer = page.get(f"/api/ext/bad/{path}")
    assert answer.status == status
    assert body in answer.body
    assert page.get("/api/ext/bad/well").status == 200
    if path == "mute":
        assert page("POST", "/api/extensions/bad/restart").status == 200


SHARES = """
import mmap, threading
kept = mmap.mmap(-1, 1 << 26)
kept.write(b"x" * (1 << 26))
ended = threading.Event()
for _ in range(9):
    threading.Thread(target=ended.wait, daemon=True).start()
print("ready", flush=True)
input()
"""


def test_memory_that_is_shared_counts_and_threads_do() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SHARES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        used = usage_of(process.pid)
        process.stdin.write("\n")
    assert used.memory_bytes > 1 << 26
    assert used.threads == 10
    assert usage_of(process.pid) == (0, 0)


NODE = """
module.exports = { name: 'eater', version: '1', init (router) {
  router.post('/heap', (req, res) => { const kept = []; while (true) kept.push({ a: [1, 2, 3], b: `${kept.length}` }) })
  router.post('/uncaught', (req, res) => setTimeout(() => { throw new TypeError('nobody catches it') }, 1))
  router.post('/exit', (req, res) => process.exit(3))
} }
"""


def test_why_node_has_ended(site: Site) -> None:
    """Stacks that come after it are no reason."""
    if shutil.which("node") is None:
        lack("missing: node", "nodejs")
    site.extension("eater", NODE, main="src/index.js")
    page = site.session(extension_memory_bytes=64 << 20)
    for path, said in (
        ("uncaught", "it has ended with status 1: FATAL ERROR: not caught: TypeError: nobody catches it"),
        ("exit", "it has ended with status 3"),
        ("heap", "over 67108864 bytes of memory (extension_memory_bytes): FATAL ERROR: "),
    ):
        answer = page("POST", f"/api/ext/eater/{path}")
        assert answer.error == (502, "extension-died")
        assert answer.json["message"].startswith(said)
    assert "limit name=extension_memory_bytes value=67108864" in site.log


def test_a_statement_that_takes_all_memory_is_an_error(site: Site) -> None:
    # By itself, with time: what it takes comes before it is late, however busy the machine is.
    site.extension("bad", SOURCE)
    page = site.session(extension_memory_bytes=256 << 20, extension_request_seconds=100, extension_query_seconds=100)
    assert page("POST", "/api/ext/bad/compile", {}).status == 500
    site.wait_log("limit name=extension_memory_bytes")
    assert "bounded by extension_memory_bytes" in site.log
    assert page.get("/api/ext/bad/well").status == 200


def test_who_prints_too_much_is_cut(site: Site) -> None:
    # By itself: what another test looks for in the log may fall into the second that is full.
    site.extension(
        "loud",
        """
        def init(router, services):
            @router.post("/")
            def prints(req):
                for number in range(5000):
                    print("x" * 3000, number)
        """,
    )
    page = site.session()
    assert page("POST", "/api/ext/loud/").status == 204
    site.wait_log("lines-left-out")
    assert max(map(len, site.log.splitlines())) < 2_200


def test_a_result_that_is_too_large_is_an_error(page: Page, shared: Site) -> None:
    assert page.get("/api/ext/bad/large").status == 500
    shared.wait_log("limit name=extension_message_bytes")


def test_waiting_requests_are_bounded(site: Site) -> None:
    site.extension(
        "slow",
        """
        import asyncio

        def init(router, services):
            @router.get("/")
            async def wait(req):
                await asyncio.sleep(3600)
        """,
    )
    page = site.session(extension_waiting=3)
    waiting = [page.ask("GET", "/api/ext/slow/") for _ in range(3)]
    answer = page.get("/api/ext/slow/")
    assert answer.error == (503, "busy")
    assert "Retry-After" in answer.headers
    assert "name=extension_waiting" in site.log
    for channel in waiting:
        page.front_end.close(channel)


WRITES = """
def init(router, services):
    db = services.db
    db.exec("CREATE TABLE IF NOT EXISTS ext_writes_t (n INTEGER PRIMARY KEY)")

    @router.post("/:n")
    def write(req):
        n = int(req.params["n"])
        db.prepare("INSERT INTO ext_writes_t VALUES (?)").run(n)
        services.audit_log("write", "n", n)
        services.webhooks.fire("n", {"n": n})
        return {"n": n}
"""


def answered(page: Page) -> Answer:
    """The list, by the next host if this one has just ended and the bridge has not noticed yet."""
    answer = page.get("/api/extensions")
    while "response" not in answer.commands:
        assert answer.problem == "terminated"
        answer = page.get("/api/extensions")
    return answer


def test_what_was_acknowledged_is_there_whoever_was_killed(site: Site) -> None:
    """Host, extension and the bridge itself are killed in the middle of writes."""
    site.extension("writes", WRITES)
    limits: Any = {"extension_delivery_allow": "127.0.0.0/8", "extension_delivery_retries": "0,0,0,1,1"}
    bridge = site.bridge(**limits)
    page = Page(bridge.front_end)
    chance = random.Random(5)
    done: list[int] = []
    with receiving() as receiver:
        assert page("POST", "/api/extensions/webhooks", {"url": receiver.url}).status == 201
        number = 0
        for which in ("host", "bridge", "extension", "bridge", "host"):
            told = answered(page).json
            channels = []
            for _ in range(20):
                channels.append((number, page.ask("POST", f"/api/ext/writes/{number}")))
                number += 1
            for n, channel in channels[: chance.randrange(20)]:
                if page.receive(channel).status == 200:
                    done.append(n)
                channels = [each for each in channels if each[0] != n]
            if which == "bridge":
                os.kill(bridge.pid, signal.SIGKILL)
                bridge = site.bridge(**limits)
                page = Page(bridge.front_end)
                continue
            victim = told["host"]["pid"] if which == "host" else told["extensions"][0]["pid"]
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
            for n, channel in channels:
                answer = page.receive(channel)
                if "response" in answer.commands and answer.status == 200:
                    done.append(n)
        answered(page)
        with sqlite3.connect(site.state / "writes/data.db") as raw:
            stored = {n for (n,) in raw.execute("SELECT n FROM ext_writes_t")}
        assert set(done) <= stored
        assert verify(str(site.state / "audit.db"))["ok"]
        with sqlite3.connect(site.state / "audit.db") as raw:
            noted = [int(n) for (n,) in raw.execute("SELECT json_extract(entry, '$.id') FROM entries")]
        assert set(done) <= set(noted)
        delivered: dict[int, str] = {}
        while set(done) - delivered.keys():
            got = receiver.take()
            n = json.loads(got.body)["data"]["n"]
            assert delivered.setdefault(n, got.headers["webhook-id"]) == got.headers["webhook-id"]
