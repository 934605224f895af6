"""What both runners do alike: one extension in each language, the same questions."""

import shutil

import pytest

from spanbridge.testing import processes

from ..missing import lack
from .site import Page, Site

PYTHON = """
import asyncio

def init(router, services):
    ran = []

    @router.get("/large-then-raises")
    def large_then_raises(req, res):
        res.send(b"x" * int(req.query["n"]))
        raise RuntimeError("after the answer")

    @router.get("/large-then-raises-async")
    async def large_then_raises_async(req, res):
        res.send(b"x" * int(req.query["n"]))
        await asyncio.sleep(0)
        raise RuntimeError("after the answer")

    @router.get("/ran")
    def get_ran(req):
        told = list(ran)
        ran.clear()
        return told

    @router.use("/twice")
    def twice(req, res, next):
        next()
        next()

    @router.get("/twice")
    def get_twice(req):
        ran.append("handler")
        return {"twice": len(ran)}

    @router.use("/twice-error")
    def twice_error(req, res, next):
        next()
        next(RuntimeError("too late"))

    @router.get("/twice-error")
    async def get_twice_error(req):
        await asyncio.sleep(0)
        return {"fine": True}

    @router.use("/error")
    def error(req, res, next):
        next(RuntimeError("so it is"))

    @router.get("/error")
    def get_error(req):
        return {}

    @router.get("/end-none")
    def end_none(req, res):
        res.end(None)

    @router.get("/list-header")
    def list_header(req, res):
        res.set("X-All", ["a", "b"]).json({})

    @router.get("/type")
    def type_(req, res):
        res.type("constructor").end("x")

    @router.get("/odd-error")
    def odd_error(req):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("again")
            __repr__ = __str__
        raise Odd

    @router.get("/errors")
    def errors(req):
        deep = []
        deep.append(deep)
        told = []
        for fails in (
            lambda: services.broadcast("t", deep),
            lambda: services.db.prepare("SELECT ?").get(2**70),
            lambda: services.db.migrate("SELECT 1"),
            lambda: services.webhooks.fire("a b", {}),
        ):
            try:
                fails()
            except Exception as error:
                told.append(str(error).partition(":")[0])
        return told

    @router.get("/mute")
    def mute(req):
        import os
        os.close(1)
        os.close(2)
        raise RuntimeError("that nobody hears")

    @router.get("/nobody-waits")
    async def nobody_waits(req):
        async def fail():
            raise RuntimeError("nobody waits for it")
        waiting["task"] = asyncio.ensure_future(fail())
        return {}

    @router.get("/wait")
    async def wait(req, res):
        services.broadcast("begun")
        go_on = waiting["go on"] = asyncio.get_running_loop().create_future()
        try:
            await go_on
        except asyncio.CancelledError:
            pass
        res.send(b"x" * 1_000_000)
    waiting = {}

    @router.post("/go-on")
    async def go_on(req):
        if not waiting["go on"].done():
            waiting["go on"].set_result(None)
        return {}

    @router.get("/params/:a/*")
    def params(req):
        return req.params

    @router.get("/only-get")
    def only_get(req):
        return {}

    @router.post("/echo")
    def echo(req):
        return {"length": len(req.body)}
"""
JAVASCRIPT = """
module.exports = { name: 'javascript', version: '1', init (router, services) {
  let ran = []
  const waiting = {}
  const large = (req, res) => res.send(Buffer.alloc(Number(req.query.n), 'x'))
  router.get('/large-then-raises', (req, res) => { large(req, res); throw new Error('after the answer') })
  router.get('/large-then-raises-async', async (req, res) => {
    large(req, res)
    await null
    throw new Error('after the answer')
  })
  router.get('/ran', (req, res) => { res.json(ran); ran = [] })
  router.use('/twice', (req, res, next) => { next(); next() })
  router.get('/twice', (req, res) => { ran.push('handler'); if (!res.headersSent) res.json({ twice: ran.length }) })
  router.use('/twice-error', (req, res, next) => { next(); next(new Error('too late')) })
  router.get('/twice-error', async (req, res) => { await null; res.json({ fine: true }) })
  router.use('/error', (req, res, next) => next(new Error('so it is')))
  router.get('/error', (req, res) => res.json({}))
  router.get('/end-none', (req, res) => res.end(null))
  router.get('/list-header', (req, res) => res.set('X-All', ['a', 'b']).json({}))
  router.get('/type', (req, res) => res.type('constructor').end('x'))
  const odd = { [Symbol.for('nodejs.util.inspect.custom')] () { throw new Error('again') } }
  router.get('/odd-error', () => { throw odd })
  router.get('/errors', (req, res) => {
    const deep = []
    deep.push(deep)
    const told = []
    for (const fails of [
      () => services.broadcast('t', deep),
      () => services.db.prepare('SELECT ?').get(2n ** 70n),
      () => services.db.migrate('SELECT 1'),
      () => services.webhooks.fire('a b', {})
    ]) {
      try { fails() } catch (error) { told.push(error.message.split(':')[0]) }
    }
    res.json(told)
  })
  router.get('/mute', () => {
    for (const fd of [1, 2]) require('node:fs').closeSync(fd)
    throw new Error('that nobody hears')
  })
  router.get('/nobody-waits', (req, res) => {
    Promise.reject(odd)
    res.json({})
  })
  router.get('/wait', async (req, res) => {
    services.broadcast('begun')
    await new Promise((resolve) => { waiting.goOn = resolve })
    res.send(Buffer.alloc(1000000, 'x'))
  })
  router.post('/go-on', (req, res) => { waiting.goOn(); res.json({}) })
  router.get('/params/:a/*', (req, res) => res.json(req.params))
  router.get('/only-get', (req, res) => res.json({}))
  router.post('/echo', (req, res) => res.json({ length: req.body.length }))
} }
"""


@pytest.fixture(scope="module")
def pages(shared: Site) -> Page:
    shared.extension("python", PYTHON)
    shared.extension("javascript", JAVASCRIPT, main="src/index.js")
    return shared.session()


@pytest.fixture(params=["python", "javascript"])
def base(request: pytest.FixtureRequest) -> str:
    if request.param == "javascript" and shutil.which("node") is None:
        lack("missing: node", "nodejs")
    return f"/api/ext/{request.param}"


@pytest.mark.parametrize("path", ["large-then-raises", "large-then-raises-async"])
@pytest.mark.parametrize("size", [10, 100_000, 1_000_000])
def test_an_answer_is_whole_though_its_handler_fails_later(pages: Page, base: str, path: str, size: int) -> None:
    answer = pages.get(f"{base}/{path}?n={size}")
    assert (answer.status, len(answer.body), answer.problem) == (200, size, None)


def test_next_counts_once(pages: Page, base: str) -> None:
    pages.get(f"{base}/ran")
    assert pages.get(f"{base}/twice").json == {"twice": 1}
    assert pages.get(f"{base}/ran").json == ["handler"]
    assert pages.get(f"{base}/twice-error").json == {"fine": True}


def test_errors_of_services_say_of_which(pages: Page, base: str) -> None:
    assert pages.get(f"{base}/errors").json == ["broadcast", "db.get", "db.migrate", "webhooks.fire"]


def _pid(page: Page, base: str) -> int:
    extensions = page.get("/api/extensions").json["extensions"]
    (pid,) = [each["pid"] for each in extensions if base.endswith(f"/{each['name']}")]
    return int(pid)


def test_an_error_that_nobody_waits_for_ends_nothing(pages: Page, base: str) -> None:
    assert pages.get(f"{base}/nobody-waits").status == 200
    pid = _pid(pages, base)
    assert pages.get(f"{base}/only-get").status == 200
    assert _pid(pages, base) == pid


@pytest.mark.parametrize(
    ("language", "init", "told"),
    [
        ("python", "raise Odd", "Odd, which has no text"),
        ("python", "raise RuntimeError(chr(0xd800))", "RuntimeError: \\ud800"),
        ("python", "raise RuntimeError('x' * 40_000_000)", "RuntimeError: " + "x" * 1_986),
        ("javascript", "throw null", "null"),
        ("javascript", "throw Object.create(null)", "an error that has no text"),
        ("javascript", "throw new Error('x'.repeat(40000000))", "x" * 2_000),
        ("javascript", "router.get('/')", "no handler, expected a function"),
    ],
)
def test_why_it_does_not_start(site: Site, language: str, init: str, told: str) -> None:
    if language == "python":
        odd = "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError('again')\n"
        site.extension("one", f"{odd}def init(router, services):\n    {init}\n")
    else:
        if shutil.which("node") is None:
            lack("missing: node", "nodejs")
        source = f"module.exports = {{ name: 'one', version: '1', init (router) {{ {init} }} }}"
        site.extension("one", source, main="src/index.js")
    answer = site.session().get("/api/ext/one/")
    assert answer.error == (503, "extension-failed")
    assert answer.json["message"] == told


@pytest.mark.parametrize("path", ["error", "odd-error", "mute"])
def test_errors(pages: Page, base: str, path: str) -> None:
    assert pages.get(f"{base}/only-get").status == 200
    pid = _pid(pages, base)
    assert pages.get(f"{base}/{path}").error == (500, "internal-error")
    assert _pid(pages, base) == pid


def test_odd_answers(pages: Page, base: str) -> None:
    answer = pages.get(f"{base}/end-none")
    assert (answer.status, answer.body) == (200, b"")
    assert pages.get(f"{base}/list-header").headers["X-All"] == "a, b"
    assert pages.get(f"{base}/type").headers["Content-Type"] == "application/octet-stream"


def test_paths_and_methods(pages: Page, base: str) -> None:
    assert pages.get(f"{base}/params/%C3%A9/b/%2F").json == {"a": "\u00e9", "*": "b//"}
    for bad in ("%zz", "%C3", "%ED%A0%80"):
        assert pages.get(f"{base}/params/{bad}/x").error == (400, "bad-request")
        assert pages.get(f"{base}/only-get?a={bad}").error == (400, "bad-request")
    head = pages("HEAD", f"{base}/only-get")
    assert (head.status, head.body) == (200, b"")
    for method in ("OPTIONS", "POST"):
        answer = pages(method, f"{base}/only-get")
        assert answer.error == (405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET, HEAD"
    assert pages.get(f"{base}/absent").error == (404, "not-found")


def test_a_large_body(pages: Page, base: str) -> None:
    assert pages("POST", f"{base}/echo", b"x" * 1_000_000).json == {"length": 1_000_000}


def test_what_was_left_does_not_hold_up_the_end(site: Site, base: str) -> None:
    name = base.rpartition("/")[2]
    source, main = (PYTHON, "src/main.py") if name == "python" else (JAVASCRIPT, "src/index.js")
    site.extension(name, source, main=main)
    page = site.session(extension_drain_seconds=3600, extension_request_seconds=3600)
    events = page.listen(name)
    channel = page.ask("GET", f"{base}/wait")
    assert page.event(events)["topic"] == "begun"
    page.front_end.close(channel)
    assert page("POST", f"{base}/go-on").status == 200
    (told,) = page.get("/api/extensions").json["extensions"]
    assert page("POST", f"/api/extensions/{name}/disable").status == 200
    assert processes.wait_ended([told["pid"]]) == []


def test_an_answer_that_is_left_half_way_does_not_hold_up_the_end(site: Site, base: str) -> None:
    name = base.rpartition("/")[2]
    source, main = (PYTHON, "src/main.py") if name == "python" else (JAVASCRIPT, "src/index.js")
    site.extension(name, source, main=main)
    page = site.session(extension_drain_seconds=3600, extension_request_seconds=3600)
    channel = page.ask("GET", f"{base}/large-then-raises?n=30000000", flow_control=True)
    page.front_end.expect("response", channel)
    (told,) = page.get("/api/extensions").json["extensions"]
    page.front_end.close(channel)
    assert page("POST", f"/api/extensions/{name}/disable").status == 200
    assert processes.wait_ended([told["pid"]]) == []
