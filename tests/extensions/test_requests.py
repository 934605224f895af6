"""Requests to an extension: routes, what handlers get and give, errors, order on the channel."""

import json
import shutil

import pytest

from spanbridge.testing import processes
from spanbridge.testing.frames import encode_control

from ..missing import lack
from .site import Page, Site, hello

SAMPLE = """
import asyncio
from spanbridge.extensions import HttpError

def init(router, services):
    @router.get("/items/:id")
    def item(req):
        return {"id": req.params["id"], "query": req.query, "user": list(req.user)}

    @router.post("/items")
    def add(req, res):
        res.status(201).set("X-Made", "yes").json({"got": req.body})

    @router.get("/written-out")
    def written_out(req, res):
        res.status(req.query["status"]).set("X-All", ["a", "b"]).json({})

    @router.get("/raises-written-out")
    def raises_written_out(req):
        raise HttpError("40x", "no number")

    @router.get("/refuses-before-the-first")
    def refuses_before_the_first(req):
        if req.query.get("later"):
            yield "first"
        raise HttpError(404, "there is none", "none")

    @router.get("/refuses-in-time")
    async def refuses_in_time(req):
        if req.query.get("later"):
            yield "first"
        raise HttpError(404, "there is none", "none")

    @router.get("/text")
    def text(req):
        return "caf\\u00e9"

    @router.get("/bytes")
    def octets(req):
        return b"\\xff\\x00"

    @router.get("/nothing")
    def nothing(req):
        return None

    @router.get("/pair")
    async def pair(req):
        return 418, ["short", "stout"]

    async def later(req):
        await asyncio.sleep(0)
        if req.query.get("fail"):
            raise HttpError(409, "not twice", "twice")
        return {"later": req.guarded}

    async def mark(req, res, next):
        await asyncio.sleep(0)
        req.guarded = "marked"
        next()

    router.use("/later", lambda req, res, next: mark(req, res, next))
    router.get("/later", lambda req: later(req))

    @router.get("/answered-then-later")
    def answered_then_later(req, res):
        res.json({"answered": True})
        return asyncio.sleep(0)

    @router.get("/refused")
    def refused(req):
        raise HttpError(409, "not twice", "twice")

    @router.get("/raises")
    def raises(req):
        raise RuntimeError("a secret of the handler")

    @router.get("/bad-header")
    def bad_header(req, res):
        res.set("X-Bad", "a\\r\\nSet-Cookie: b").json({})

    @router.get("/bad-value")
    def bad_value(req):
        return object()

    @router.get("/numbers")
    def numbers(req):
        for number in range(1000):
            yield f"{number:0100}\\n"

    @router.get("/numbers-async")
    async def numbers_async(req):
        for number in range(1000):
            yield f"{number:0100}\\n"

    @router.get("/breaks")
    def breaks(req):
        yield "first"
        raise RuntimeError("in the middle")

    @router.get("/large")
    def large(req):
        return "\\u20ac" * 200_000

    @router.get("/cookies")
    def cookies(req, res):
        res.set({"Content-Security-Policy": "none of it", "Connection": "close"}).send("<p>")

    @router.get("/files/*")
    def files(req):
        return req.params

    @router.get("/body")
    @router.all("/echo")
    def echo(req):
        return bytes(req.body)

    @router.use("/guarded")
    def guard(req, res, next):
        if req.headers.get("X-Key") == "open":
            req.guarded = True
            next()
        else:
            res.status(403).send("no")

    @router.get("/guarded/thing")
    async def guarded(req):
        return {"guarded": req.guarded}
"""
FORCED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


@pytest.fixture(scope="module")
def page(shared: Site) -> Page:
    shared.extension("sample", SAMPLE)
    return shared.session()


def test_what_handlers_give(page: Page) -> None:
    def get(path: str) -> tuple[int, str, bytes]:
        answer = page.get(f"/api/ext/sample{path}", binary="raw")
        assert answer.headers.items() >= FORCED.items()
        assert answer.commands == ["ready", "response", "done", "close"]
        assert answer.problem is None
        return answer.status, answer.headers.get("Content-Type", ""), answer.body

    as_json, as_text = "application/json; charset=utf-8", "text/plain; charset=utf-8"
    assert get("/text") == (200, as_text, "café".encode())
    assert get("/bytes") == (200, "application/octet-stream", b"\xff\x00")
    assert get("/nothing") == (204, "", b"")
    assert get("/pair") == (418, as_json, b'["short","stout"]')
    assert get("/later") == (200, as_json, b'{"later":"marked"}')
    assert get("/later?fail=1") == (409, as_json, b'{"error":"twice","message":"not twice"}')
    assert get("/answered-then-later") == (200, as_json, b'{"answered":true}')
    assert get("/refused") == (409, as_json, b'{"error":"twice","message":"not twice"}')
    assert get("/files/a%20b/c?x=1")[2] == b'{"*":"a b/c"}'
    assert get("/cookies") == (200, "text/html; charset=utf-8", b"<p>")
    numbers = b"".join(b"%0100d\n" % number for number in range(1000))
    for path in ("/numbers", "/numbers-async"):
        assert get(path) == (200, "application/octet-stream", numbers)
    assert get("/large") == (200, as_text, "€".encode() * 200_000)


def test_what_handlers_get(page: Page) -> None:
    answer = page.get("/api/ext/sample/items/a%2Fb?q=1&q=%C3%A9&r=+x")
    assert answer.json["id"] == "a/b"
    assert answer.json["query"] == {"q": ["1", "é"], "r": " x"}
    answer = page("POST", "/api/ext/sample/items", {"name": "n"})
    assert (answer.status, answer.headers["X-Made"], answer.json) == (201, "yes", {"got": {"name": "n"}})
    assert "Content-Length" not in answer.headers
    assert page("PUT", "/api/ext/sample/echo", b"\x00\xff" * 300_000, binary="raw").body == b"\x00\xff" * 300_000
    assert page.get("/api/ext/sample/guarded/thing").status == 403
    assert page.get("/api/ext/sample/guarded/thing", headers={"x-key": "open"}).json == {"guarded": True}


def test_head_is_answered_by_get_without_body(page: Page) -> None:
    answer = page("HEAD", "/api/ext/sample/text", binary="raw")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "5")
    assert page("HEAD", "/api/ext/sample/numbers").body == b""


def test_text_channels_get_whole_characters(page: Page) -> None:
    assert page.get("/api/ext/sample/bytes").body == "\ufffd\0".encode()
    answer = page.get("/api/ext/sample/large")
    for piece in answer.data:
        piece.decode()
        assert len(piece) <= 65_536
    assert answer.body.decode() == "€" * 200_000


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/api/ext/other/", None, (404, "no-such-extension")),
        ("GET", "/api/else", None, (404, "not-found")),
        ("GET", "/api/ext/sample/absent", None, (404, "not-found")),
        ("GET", "/api/ext/sample/text/more", None, (404, "not-found")),
        ("DELETE", "/api/ext/sample/text", None, (405, "method-not-allowed")),
        ("GET", "/api/ext/sample/items/%zz", None, (400, "bad-request")),
        ("GET", "/api/ext/sample/items/%ff", None, (400, "bad-request")),
        ("GET", "/api/ext/sample/items/1?%", None, (400, "bad-request")),
        ("POST", "/api/ext/sample/items", b"{", (400, "bad-json")),
        ("POST", "/api/ext/sample/items", b"[" * 101 + b"]" * 101, (400, "bad-json")),
        ("POST", "/api/ext/sample/items", b"[" * 90_000, (400, "bad-json")),
        ("POST", "/api/ext/sample/items", b" " * 2_000_000, (413, "too-large")),
        ("POST", "/api/ext/sample/items", b'"\xff"', (400, "bad-json")),
        ("POST", "/api/ext/sample/items", b'["\\ud800", NaN]', (400, "bad-json")),
        ("GET", "/api/ext/sample/raises", None, (500, "internal-error")),
        ("GET", "/api/ext/sample/written-out?status=x", None, (500, "internal-error")),
        ("GET", "/api/ext/sample/raises-written-out", None, (500, "internal-error")),
        ("GET", "/api/ext/sample/refuses-before-the-first", None, (404, "none")),
        ("GET", "/api/ext/sample/refuses-in-time", None, (404, "none")),
        ("GET", "/api/ext/sample/bad-header", None, (500, "internal-error")),
        ("GET", "/api/ext/sample/bad-value", None, (500, "internal-error")),
    ],
)
def test_errors_are_answers(
    page: Page, shared: Site, method: str, path: str, body: bytes | None, expected: tuple[int, str]
) -> None:
    answer = page(method, path, body, headers={"Content-Type": "application/json"})
    assert answer.error == expected
    assert answer.headers.items() >= FORCED.items()
    assert answer.problem is None
    assert b"secret" not in answer.body
    if expected[0] == 405:
        assert answer.headers["Allow"] == "GET, HEAD"
    if path.endswith("/raises"):
        shared.wait_log("a secret of the handler")


@pytest.mark.parametrize("binary", ["raw", None])
def test_opens_like_the_one_before(page: Page, binary: str | None) -> None:
    """One that differs in its channel alone is told by its bytes, and not read again."""
    front_end = page.front_end
    idents = ["like-1", "like-2", "like-3", "\u00fc", 'a "quoted" one', "like 4", "like-5", "like-6"]
    for number, ident in enumerate(idents * 2):
        item = number // 3 % 3  # so that most are like the one before, and some are not
        front_end.open(
            ident,
            "http-stream2",
            internal="extensions",
            method="GET",
            path=f"/api/ext/sample/items/{item}",
            headers={"X-A": "b"},
            binary=binary,
        )
        front_end.control("done", channel=ident)
        answer = page.receive(ident)
        assert (answer.status, answer.json["id"], answer.problem) == (200, str(item), None)


def test_one_like_the_one_before_comes_while_that_is_open(page: Page) -> None:
    channels = [page.ask("GET", "/api/ext/sample/items/1") for _ in range(50)]
    assert [page.receive(channel).json["id"] for channel in reversed(channels)] == ["1"] * 50
    refused = [page.get("/api/ext/sample/items/1", headers={"Content-Length": "1"}).problem for _ in range(3)]
    assert refused == ["protocol-error"] * 3
    assert page.get("/api/ext/sample/items/1").status == 200
    assert len({page.listen("sample") for _ in range(3)}) == 3


def test_what_express_takes(page: Page) -> None:
    answer = page.get("/api/ext/sample/written-out?status=404")
    assert (answer.status, answer.headers["X-All"]) == (404, "a, b")
    assert page("POST", "/api/ext/sample/items", b'"\\ud800"', headers={"Content-Type": "text/json+json"}).json == {
        "got": "\ud800"
    }
    for name in ("refuses-before-the-first", "refuses-in-time"):
        answer = page.get(f"/api/ext/sample/{name}?later=1")
        assert (answer.status, answer.body, answer.problem) == (200, b"first", "terminated")


def test_100_deep_is_not_too_deep(page: Page) -> None:
    deep: object = []
    for _ in range(98):
        deep = [deep]
    assert page("POST", "/api/ext/sample/items", {"x": deep}).status == 201


def test_an_answer_that_breaks_off(page: Page) -> None:
    answer = page.get("/api/ext/sample/breaks")
    assert (answer.status, answer.body, answer.problem) == (200, b"first", "terminated")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"method": ...}, "method"),
        ({"method": "CONNECT"}, "method"),
        ({"method": "trace"}, "method"),
        ({"method": "G T"}, "method"),
        ({"path": ...}, "path"),
        ({"path": "x"}, "path"),
        ({"path": "/ü"}, "path"),
        ({"path": "/" + "x" * 65_536}, "path"),
        ({"headers": ["x"]}, "headers"),
        ({"headers": {"Host": 1}}, "headers.Host"),
        ({"headers": {"X": "a\nb"}}, "headers.X"),
        ({"headers": {"Content-length": "3"}}, "headers.Content-length"),
        ({"headers": {"Range": "bytes=1-"}}, "headers.Range"),
        ({"headers": {"X": "1", "x": "2"}}, "headers.x"),
        ({"binary": True}, "binary"),
        ({"unix": "/run/x"}, "unix"),
        ({"port": 80}, "port"),
        ({"address": "localhost"}, "address"),
        ({"tls": {}}, "tls"),
        ({"connection": "x"}, "connection"),
    ],
)
def test_options_that_are_wrong(page: Page, members: dict[str, object], named: str) -> None:
    channel = f"wrong-{named}-{len(str(members))}"
    message = {
        "command": "open",
        "channel": channel,
        "payload": "http-stream2",
        "internal": "extensions",
        "method": "GET",
        "path": "/api/ext/sample/text",
        **members,
    }
    page.front_end.message({name: value for name, value in message.items() if value is not ...})
    close = page.front_end.expect("close", channel, problem="protocol-error")
    assert f'"{named}"' in close["message"]


def test_half_a_character_is_no_header(page: Page) -> None:
    answer = page.get("/api/ext/sample/text", headers={"X-Half": "\ud800"})
    assert answer.problem == "protocol-error"
    assert page.get("/api/ext/sample/text").status == 200


CHAIN = """
def init(router, services):
    def first(req, res, next):
        res.locals["seen"] = [req.params.get("name")]
        next()
    def second(req, res, next):
        if req.query.get("stop"):
            return 403, {"seen": res.locals["seen"]}
        res.locals["seen"].append(req.get("x-given"))
        next()
    def last(req, res):
        return {"seen": res.locals["seen"]}
    router.get("/chain/:name", first, second, last)
    router.use(lambda req, res, next: next(RuntimeError("no")) if req.query.get("fail") else next())
    router.get("/behind", lambda req: {"path": req.path})
    router.get("/status/:status", lambda req, res, next: next(None),
               lambda req, res: res.status(req.params["status"]).json({}))
    router.post("/body", lambda req: {"body": req.body})
"""
CHAIN_JS = """
module.exports = { name: 'chain-js', version: '1', init (router) {
  const first = (req, res, next) => { res.locals.seen = [req.params.name]; next() }
  const second = (req, res, next) => {
    if (req.query.stop) return res.status(403).json({ seen: res.locals.seen })
    res.locals.seen.push(req.headers.get('X-Given'))
    next()
  }
  router.get('/chain/:name', first, second, (req, res) => res.json({ seen: res.locals.seen }))
  router.use((req, res, next) => req.query.fail ? next(new Error('no')) : next())
  router.get('/behind', (req, res) => res.json({ path: req.path }))
  router.get('/status/:status', (req, res, next) => next(null), (req, res) => res.status(req.params.status).json({}))
  router.post('/body', (req, res) => res.json({ body: req.body }))
} }
"""


@pytest.mark.parametrize("name", ["chain", "chain-js"])
def test_a_route_of_several_handlers(site: Site, name: str) -> None:
    if name == "chain-js" and shutil.which("node") is None:
        lack("node is not installed")
    site.extension(name, CHAIN_JS if name == "chain-js" else CHAIN, main=f"main.{'js' if name == 'chain-js' else 'py'}")
    page = site.session()
    assert page.get(f"/api/ext/{name}/chain/a%20b", headers={"X-Given": "y"}).json == {"seen": ["a b", "y"]}
    stopped = page.get(f"/api/ext/{name}/chain/a?stop=1")
    assert (stopped.status, stopped.json) == (403, {"seen": ["a"]})
    assert page.get(f"/api/ext/{name}/chain//").error == (404, "not-found")
    assert page.get(f"/api/ext/{name}/status/201").status == 201
    assert page.get(f"/api/ext/{name}/status/x").error == (500, "internal-error")
    json_type = {"Content-Type": "application/json"}
    assert page("POST", f"/api/ext/{name}/body", b'"\xff"', headers=json_type).error == (400, "bad-json")
    assert page("POST", f"/api/ext/{name}/body", b'"\\ud800"', headers=json_type).json == {"body": "\ud800"}
    assert page.get(f"/api/ext/{name}/behind/").json == {"path": "/behind/"}
    assert page.get(f"/api/ext/{name}/behind?fail=1").error == (500, "internal-error")
    assert page("POST", f"/api/ext/{name}/behind").error == (405, "method-not-allowed")


LOOPS = {
    "imports": """
        import asyncio

        def init(router, services):
            told = []
            asyncio.get_running_loop().call_soon(told.append, "soon")
            router.get("/", lambda req: told)
    """,
    "imports-late": """
        def init(router, services):
            import asyncio
            from asyncio import subprocess
            told = []

            async def later():
                await asyncio.sleep(0)
                told.append(asyncio.get_running_loop() is loop and "soon")

            loop = asyncio.get_running_loop()
            loop.kept = asyncio.create_task(later())
            async def tell(req):
                await loop.kept
                return told
            router.get("/", tell)
    """,
    "never": """
        def init(router, services):
            async def tell(req):
                return ["soon"]
            router.get("/sync", lambda req: ["soon"])
            router.get("/", tell)
    """,
}


@pytest.mark.parametrize("name", LOOPS)
def test_an_event_loop_for_whoever_asks_for_one(site: Site, name: str) -> None:
    site.extension(name, LOOPS[name])
    page = site.session()
    if name == "never":
        assert page.get(f"/api/ext/{name}/sync").json == ["soon"]
    assert page.get(f"/api/ext/{name}/").json == ["soon"]


def test_other_payloads_are_refused(page: Page) -> None:
    page.front_end.open("x", "stream", internal="extensions")
    page.front_end.expect("close", "x", problem="not-supported")


def test_a_handler_is_cancelled_with_its_channel(site: Site) -> None:
    site.extension(
        "slow",
        """
        import asyncio

        def init(router, services):
            @router.get("/wait")
            async def wait(req):
                services.broadcast("begun")
                try:
                    await asyncio.sleep(3600)
                finally:
                    services.broadcast("over")
        """,
    )
    page = site.session()
    events = page.listen("slow")
    channel = page.ask("GET", "/api/ext/slow/wait")
    assert page.event(events)["topic"] == "begun"
    page.front_end.close(channel)
    assert page.event(events)["topic"] == "over"


def test_what_is_left_at_once_is_over(site: Site) -> None:
    site.extension(
        "left",
        """
        def init(router, services):
            @router.get("/")
            async def get(req):
                return {}
        """,
    )
    page = site.session()
    assert page.get("/api/ext/left/").status == 200
    (told,) = page.get("/api/extensions").json["extensions"]
    opened = {"command": "open", "payload": "http-stream2", "internal": "extensions", "method": "GET"}
    frames = b""
    for number in range(50):
        channel = f"left-{number}"
        frames += encode_control({**opened, "channel": channel, "path": "/api/ext/left/", "headers": {}})
        frames += encode_control({"command": "done", "channel": channel})
        frames += encode_control({"command": "close", "channel": channel})
    page.front_end.write(frames)
    page("POST", "/api/extensions/left/disable")
    # With nothing under way any more it ends by itself, and is not waited for.
    assert processes.wait_ended([told["pid"]]) == []


def test_late_answers(site: Site) -> None:
    site.extension(
        "late",
        """
        import asyncio, time

        def init(router, services):
            @router.get("/async")
            async def wait(req):
                await asyncio.sleep(3600)

            @router.get("/sync")
            def sync(req):
                time.sleep(3600)

            @router.get("/blocks")
            async def blocks(req):
                time.sleep(3600)

            @router.get("/pid")
            async def pid(req):
                import os
                return {"pid": os.getpid()}
        """,
    )
    page = site.session(extension_request_seconds=0.3)
    pid = page.get("/api/ext/late/pid").json
    assert page.get("/api/ext/late/async").error == (504, "timeout")
    assert page.get("/api/ext/late/pid").json == pid
    assert page.get("/api/ext/late/sync").error == (504, "timeout")
    site.wait_log("did not answer in time")
    other = page.get("/api/ext/late/pid").json
    assert other != pid
    assert page.get("/api/ext/late/blocks").error == (504, "timeout")
    site.wait_log("did not answer a ping")
    assert page.get("/api/ext/late/pid").json != other
    assert "name=extension_request_seconds" in site.log


def test_an_answer_goes_as_fast_as_it_is_taken(site: Site) -> None:
    site.extension(
        "endless",
        """
        made = 0

        def init(router, services):
            @router.get("/stream")
            def stream(req):
                global made
                while True:
                    made += 1
                    yield "x" * 1000

            @router.get("/made")
            def told(req):
                return {"made": made}
        """,
    )
    page = site.session()
    channel = page.ask("GET", "/api/ext/endless/stream", flow_control=True)
    made = -1
    while (now := page.get("/api/ext/endless/made").json["made"]) != made:
        made = now
    assert made < 10_000
    page.front_end.close(channel)
    page.front_end.expect("close", channel)
    assert page.get("/api/ext/endless/made").status == 200


def test_who_asks_is_told(site: Site) -> None:
    site.extension("who", hello("return req.user._asdict()"))
    import getpass
    import os

    assert site.session().get("/api/ext/who/").json == {"name": getpass.getuser(), "uid": os.getuid()}


def test_many_at_once(site: Site) -> None:
    for number in range(4):
        site.extension(f"many-{number}", hello('return {"n": req.query["n"]}'))
    page = site.session()
    channels = [page.ask("GET", f"/api/ext/many-{number % 4}/x?n={number}") for number in range(200)]
    assert [json.loads(page.receive(channel).body)["n"] for channel in channels] == [str(n) for n in range(200)]
