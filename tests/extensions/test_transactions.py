"""A transaction belongs to the handler call that began it."""

import shutil

import pytest

from ..missing import lack
from .site import Site

SOURCE = """
import asyncio, time
from spanbridge.extensions import SqliteError

def init(router, services):
    db = services.db
    db.exec("CREATE TABLE IF NOT EXISTS ext_tx_t (n INTEGER)")
    count = db.prepare("SELECT count(*) FROM ext_tx_t").pluck()
    insert = db.prepare("INSERT INTO ext_tx_t VALUES (?)")

    @router.get("/count")
    def counted(req):
        return {"count": count.get()}

    @router.post("/leave-open")
    def leave_open(req):
        db.exec("BEGIN")
        insert.run(1)
        return {"count": count.get()}

    @router.post("/raise")
    def raises(req):
        @db.transaction
        def both():
            insert.run(1)
            raise RuntimeError("no")
        both()

    @router.post("/nested")
    def nested(req):
        @db.transaction
        def inner(good):
            insert.run(2)
            if not good:
                raise ValueError
        @db.transaction
        def outer():
            insert.run(1)
            inner(True)
            try:
                inner(False)
            except ValueError:
                pass
        outer()
        return {"count": count.get()}

    @router.post("/hold")
    async def hold(req):
        db.exec("BEGIN")
        insert.run(1)
        services.broadcast("held")
        await asyncio.sleep(float(req.query.get("seconds", "3600")))
        db.exec("COMMIT")
        return {}

    @router.get("/count-async")
    async def counted_async(req):
        try:
            return {"count": count.get()}
        except SqliteError as error:
            return 409, {"code": error.code}

    @router.post("/die")
    def die(req):
        import os
        db.exec("BEGIN")
        insert.run(1)
        os._exit(3)

    @router.post("/async-function")
    def async_function(req):
        async def f(): pass
        try:
            db.transaction(f)
        except TypeError as error:
            return {"refused": str(error)}

    @router.get("/rows")
    def rows(req):
        return (f"{row['n']}," for row in db.prepare("SELECT n FROM ext_tx_t ORDER BY n").iterate())

    @router.post("/fill")
    def fill(req):
        @db.transaction
        def all():
            for n in range(1000):
                insert.run(n)
        all()
"""


def test_transactions(site: Site) -> None:
    site.extension("tx", SOURCE)
    page = site.session()

    def count() -> int:
        found = page.get("/api/ext/tx/count").json["count"]
        assert isinstance(found, int)
        return found

    assert page("POST", "/api/ext/tx/leave-open").json == {"count": 1}
    assert count() == 0
    site.wait_log('transaction-undone extension=tx why="the handler has returned"')
    assert page("POST", "/api/ext/tx/raise").status == 500
    assert count() == 0
    assert page("POST", "/api/ext/tx/nested").json == {"count": 2}
    assert "async" in page("POST", "/api/ext/tx/async-function").json["refused"]

    # Another async handler could only wait for ever; one that is not async waits.
    events = page.listen("tx")
    held = page.ask("POST", "/api/ext/tx/hold?seconds=0.5")
    assert page.event(events)["topic"] == "held"
    assert page.get("/api/ext/tx/count-async").json == {"code": "SQLITE_BUSY"}
    waits = page.ask("GET", "/api/ext/tx/count")
    assert page.receive(held).status == 200
    assert page.receive(waits).json == {"count": 3}

    # A front end that leaves undoes what it had begun.
    held = page.ask("POST", "/api/ext/tx/hold")
    assert page.event(events)["topic"] == "held"
    page.front_end.close(held)
    assert count() == 3

    answer = page("POST", "/api/ext/tx/die")
    assert answer.error == (502, "extension-died")
    assert "status 3" in answer.json["message"]
    assert count() == 3
    site.wait_log("its process has ended")

    assert page("POST", "/api/ext/tx/fill").status == 204
    numbers = page.get("/api/ext/tx/rows").body.decode().split(",")
    assert len(numbers) == 1004


NODE = """
module.exports = { name: 'sizes', version: '1', init (router, { db }) {
  const both = db.prepare('SELECT ? AS text, ? AS bytes')
  router.get('/', (req, res) => {
    const sizes = [...Array(1100).keys(), 2047, 2048, 4095, 65534, 65535, 65536, 65537, 131072, 3000001]
    res.json(sizes.filter(size => {
      const text = 'x'.repeat(size), bytes = Buffer.alloc(size, 7)
      const row = both.get(text, bytes)
      return row.text !== text || !row.bytes.equals(bytes)
    }))
  })
  router.get('/:size', ({ params: { size } }, res) => {
    res.set('X-Size', 'y'.repeat(size % 3000)).send('é'.repeat(size))
  })
  router.post('/open', (req, res) => { db.exec('BEGIN'); res.json({}) })
} }
"""


def test_node_sends_messages_of_any_size(site: Site) -> None:
    """Wherever room has to be made in the middle of one. And what a handler has left open is undone at once."""
    if shutil.which("node") is None:
        lack("missing: node", "nodejs")
    site.extension("sizes", NODE, main="src/index.js")
    page = site.session()
    assert page.get("/api/ext/sizes/").json == []
    for size in (1, 500, 511, 512, 1023, 1024, 32767, 32768, 65536, 300_001):
        answer = page.get(f"/api/ext/sizes/{size}")
        assert (answer.status, answer.body.decode()) == (200, "é" * size)
        assert answer.headers.get("X-Size", "") == "y" * (size % 3000)
    for _ in range(30):
        assert page("POST", "/api/ext/sizes/open").status == 200


PARENTS = """
from spanbridge.extensions import SqliteError

def init(router, services):
    db = services.db
    db.exec("CREATE TABLE ext_parents_p (id INTEGER PRIMARY KEY);"
            "CREATE TABLE ext_parents_c (p REFERENCES ext_parents_p (id) DEFERRABLE INITIALLY DEFERRED)")

    @router.post("/")
    def post(req):
        try:
            db.transaction(lambda: db.exec("INSERT INTO ext_parents_c VALUES (7)"))()
        except SqliteError as error:
            db.exec("INSERT INTO ext_parents_p VALUES (1)")
            return {"code": error.code}

    @router.get("/")
    def get(req):
        return {each: db.prepare(f"SELECT count(*) FROM ext_parents_{each}").pluck().get() for each in "pc"}
"""
PARENTS_JS = """
module.exports = { name: 'parents', version: '1', init (router, { db }) {
  db.exec(`CREATE TABLE ext_parents_p (id INTEGER PRIMARY KEY);
           CREATE TABLE ext_parents_c (p REFERENCES ext_parents_p (id) DEFERRABLE INITIALLY DEFERRED)`)
  router.post('/', (req, res) => {
    try {
      db.transaction(() => db.exec('INSERT INTO ext_parents_c VALUES (7)'))()
    } catch (error) {
      db.exec('INSERT INTO ext_parents_p VALUES (1)')
      res.json({ code: error.code })
    }
  })
  router.get('/', (req, res) => res.json(db.prepare(
    'SELECT (SELECT count(*) FROM ext_parents_p) AS p, (SELECT count(*) FROM ext_parents_c) AS c').get()))
} }
"""


@pytest.mark.parametrize("language", ["py", "js"])
def test_a_commit_that_fails_undoes_the_transaction(site: Site, language: str) -> None:
    if language == "js" and shutil.which("node") is None:
        lack("node is not installed")
    site.extension("parents", PARENTS_JS if language == "js" else PARENTS, main=f"main.{language}")
    page = site.session()
    assert page("POST", "/api/ext/parents/").json == {"code": "SQLITE_CONSTRAINT_FOREIGNKEY"}
    assert page.get("/api/ext/parents/").json == {"p": 1, "c": 0}


def test_a_thread_that_outlives_its_handler_writes_no_second_half(site: Site) -> None:
    site.extension(
        "tx",
        """
        import asyncio, threading

        def init(router, services):
            db = services.db
            db.exec("CREATE TABLE IF NOT EXISTS ext_tx_t (half TEXT)")
            insert = db.prepare("INSERT INTO ext_tx_t VALUES (?)")
            on, failed = threading.Event(), threading.Event()

            @router.post("/halves")
            async def halves(req):
                def both():
                    insert.run("first")
                    services.broadcast("half")
                    on.wait()
                    try:
                        insert.run("second")
                    except Exception as error:
                        services.broadcast("failed", error.code)
                        raise
                await asyncio.to_thread(db.transaction(both))

            @router.post("/on")
            def go_on(req):
                on.set()

            @router.get("/rows")
            def rows(req):
                return db.prepare("SELECT half FROM ext_tx_t").pluck().all()
        """,
    )
    page = site.session()
    assert page.get("/api/ext/tx/rows").json == []
    events = page.listen("tx")
    halves = page.ask("POST", "/api/ext/tx/halves")
    assert page.event(events)["topic"] == "half"
    page.front_end.close(halves)
    site.wait_log("transaction-undone")
    assert page("POST", "/api/ext/tx/on").status == 204
    failed = page.event(events)
    assert (failed["topic"], failed["data"]) == ("failed", "SQLITE_ABORT")
    assert page.get("/api/ext/tx/rows").json == []
