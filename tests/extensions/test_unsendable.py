"""What no message can hold: it costs the one that has it, and nobody else."""

import shutil

import pytest

from ..missing import lack
from .site import Site

SOURCE = """
import sys


def init(router, services):
    from spanbridge.extensions import HttpError

    def nested():
        found = []
        for _ in range(100_000):
            found = [found]
        return found

    @router.get("/ok")
    def ok(req):
        return "ok"

    @router.get("/header")
    def header(req, res):
        res.set("X-Name", "caf\\udce9").send("x")

    @router.get("/async-header")
    async def async_header(req, res):
        res.set("X-Name", "caf\\udce9").send("x")

    @router.get("/header-of-a-generator")
    def header_of_a_generator(req, res):
        res.set("caf\\udce9", "x")
        return iter(["x"])

    @router.get("/status")
    def status(req):
        return 2**70, "x"

    @router.get("/infinite")
    def infinite(req):
        raise HttpError(float("inf"), "x")

    @router.get("/nested")
    def nested_message(req):
        raise HttpError(400, nested())

    @router.get("/generator")
    def generator(req):
        def pieces():
            try:
                while True:
                    yield "x" * 60_000
            finally:
                print("closed", flush=True)
                sys.exit(3)
        return pieces()
"""
IN_JAVASCRIPT = """
module.exports = { name: 'odd', version: '1', init(router) {
  let times = 0
  router.get('/ok', (req, res) => res.json({ times: ++times }))
  router.get('/status', (req, res) => res.status(1e300).send('x'))
} }
"""


@pytest.mark.parametrize("path", ["header", "async-header", "header-of-a-generator", "status", "infinite", "nested"])
def test_an_answer_that_no_message_can_hold_is_the_handlers_failure(shared: Site, path: str) -> None:
    shared.extension("odd", SOURCE)
    page = shared.session(extension_request_seconds=5)
    assert page.get(f"/api/ext/odd/{path}").error == (500, "internal-error")
    assert page.get("/api/ext/odd/ok").body == b"ok"


def test_a_generator_that_ends_the_program_when_it_is_closed(site: Site) -> None:
    site.extension("odd", SOURCE)
    page = site.session(extension_request_seconds=5)
    channel = page.ask("GET", "/api/ext/odd/generator", flow_control=True)
    page.front_end.take(lambda frame: frame.channel == channel, "the beginning of the answer")
    page.front_end.control("close", channel=channel)
    site.wait_log("closed")
    assert page.get("/api/ext/odd/ok").body == b"ok"


def test_a_status_in_javascript_that_no_message_can_hold(site: Site) -> None:
    if shutil.which("node") is None:
        lack("missing: node", "nodejs")
    site.extension("odd", IN_JAVASCRIPT, main="index.js")
    page = site.session()
    assert page.get("/api/ext/odd/ok").json == {"times": 1}
    assert page.get("/api/ext/odd/status").error == (500, "internal-error")
    assert page.get("/api/ext/odd/ok").json == {"times": 2}
