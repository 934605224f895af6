"""Limits of extensions that are set: those of starts and rests, of services, and of what is said at the end."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.frames import Decoder, encode_control

from .receiver import receiving
from .site import Answer, Page, Site, hello, wait_until

ALWAYS_FAILS = "raise RuntimeError('again')"
SERVICES = """
import asyncio, socket
from spanbridge.extensions.inner.messages import Call, encode
from spanbridge.extensions.inner.wire import framed

def init(router, services):
    def refused(function, *arguments):
        try:
            function(*arguments)
        except ValueError as error:
            return 409, {"why": str(error)}

    @router.post("/record/:metric")
    def record(req):
        return refused(services.metrics_history.record, req.params["metric"], 1)

    @router.post("/define/:alert")
    def define(req):
        return refused(services.alert_engine.define, req.params["alert"], "m", ">", 1)

    @router.post("/say")
    def say(req):
        for number in range(req.body["count"]):
            services.broadcast("n", {"number": number, "pad": "x" * req.body["pad"]})

    @router.post("/fire/:event")
    def fire(req):
        services.webhooks.fire(req.params["event"], None)

    @router.post("/deaf")
    def deaf(req):
        calls = socket.socket(fileno=4)
        while True:
            calls.sendall(framed(encode(Call(1_000_000, 0, 0, "no-such-call", []))))

    @router.get("/much")
    async def much(req):
        return b"x" * 4_000_000

    @router.get("/later")
    async def later(req):
        await asyncio.sleep(0.5)
"""
WEBHOOKS = "/api/extensions/webhooks"


def asked_until(page: Page, path: str, enough: Callable[[Answer], bool], what: str, site: Site) -> None:
    """A start of one that fails is tried by the request that comes when its rest is over."""
    wait_until(lambda: enough(page.get(path)), what, lambda: site.log)


# Requests, starts, and rests


def test_of_a_body(site: Site) -> None:
    site.extension("one", hello('return {"size": len(req.body)}'))
    page = site.session(extension_body_bytes=1_000)
    assert page("POST", "/api/ext/one/", b"x" * 1_000).json == {"size": 1_000}
    answer = page("POST", "/api/ext/one/", b"x" * 1_001)
    assert answer.error == (413, "too-large")
    assert answer.json["message"] == "the body has over 1000 bytes (extension_body_bytes)"
    assert "limit name=extension_body_bytes value=1000" in site.log


def test_failures_that_are_long_past_do_not_count(site: Site) -> None:
    site.extension("one", ALWAYS_FAILS)
    page = site.session(extension_start_failures_seconds=0.000001, extension_backoff_seconds=1_000)
    for _ in range(5):
        assert page.get("/api/ext/one/").error == (503, "extension-failed")
    assert site.log.count("extension-failed extension=one") == 5


def test_the_first_rest_is_short_and_each_is_twice_as_long_as_the_one_before(site: Site) -> None:
    site.extension("one", ALWAYS_FAILS)
    page = site.session(extension_start_failures=1, extension_backoff_seconds=0.02)
    # Seven starts with six rests between them: 1.26 s in all.
    asked_until(page, "/api/ext/one/", lambda _: site.log.count("extension-failed extension=one") >= 7, "rests", site)
    asked_until(page, "/api/ext/one/", lambda answer: int(answer.headers["Retry-After"]) > 1, "a longer rest", site)


def test_the_first_rest_is_long(site: Site) -> None:
    site.extension("one", ALWAYS_FAILS)
    page = site.session(
        extension_start_failures=1, extension_backoff_seconds=5_000, extension_backoff_most_seconds=10_000
    )
    for _ in range(2):
        assert 4_000 < int(page.get("/api/ext/one/").headers["Retry-After"]) <= 5_000
    assert site.log.count("extension-failed extension=one") == 1


def test_no_rest_is_longer_than_the_longest(site: Site) -> None:
    site.extension("one", ALWAYS_FAILS)
    page = site.session(
        extension_start_failures=1, extension_backoff_seconds=5_000, extension_backoff_most_seconds=0.02
    )
    asked_until(page, "/api/ext/one/", lambda _: site.log.count("extension-failed extension=one") >= 3, "rests", site)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("sleep 3600 &\nsleep 3\necho v20.1.0", "node --version: no answer after 0.2 s (extension_node_seconds)"),
        ("echo no version", "node --version: 'no version', expected a version such as v20.1.0"),
        ("echo v17.9.1", "is node 17, expected 18 or newer"),
    ],
)
def test_of_node(site: Site, tmp_path: Path, program: str, told: str) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\n{program}\n")
    node.chmod(0o755)
    site.extension("one", "", main="main.js")
    path = f"{tmp_path}:{os.environ['PATH']}"
    page = site.session(environ={"PATH": path}, extension_node_seconds=0.2 if "sleep" in program else 20)
    answer = page.get("/api/ext/one/")
    assert answer.error == (503, "extension-failed")
    assert told in answer.json["message"]
    assert str(node) in answer.json["message"]
    assert ("limit name=extension_node_seconds value=0.2" in site.log) == ("sleep" in program)


# Services


def test_of_replies_that_are_not_taken(site: Site) -> None:
    site.extension("one", SERVICES)
    page = site.session(extension_reply_seconds=0.2, extension_request_seconds=8)
    answer = page("POST", "/api/ext/one/deaf")
    assert answer.error == (502, "extension-died")
    told = "it took nothing of the replies to its calls for 0.2 s (extension_reply_seconds)"
    assert told in answer.json["message"]
    assert "limit name=extension_reply_seconds value=0.2" in site.log
    assert page("POST", "/api/ext/one/record/well").status == 204


@pytest.mark.parametrize(
    ("path", "limit", "told"),
    [
        (
            "record",
            "extension_metrics",
            "metrics_history.record: the metric 'c': there are 2 already, expected at most 2 (extension_metrics)",
        ),
        (
            "define",
            "extension_alerts",
            "alert_engine.define: the alert 'c': there are 2 already, expected at most 2 (extension_alerts)",
        ),
    ],
)
def test_of_metrics_and_alerts(site: Site, path: str, limit: str, told: str) -> None:
    for name in ("one", "two"):
        site.extension(name, SERVICES)
    limits: dict[str, Any] = {limit: 2}
    page = site.session(**limits)
    assert [page("POST", f"/api/ext/one/{path}/{name}").status for name in "aba"] == [204, 204, 204]
    answer = page("POST", f"/api/ext/one/{path}/c")
    assert (answer.status, answer.json) == (409, {"why": told})
    assert f"limit name={limit} value=2 setting=SPANBRIDGE_{limit.upper()} extension=one" in site.log
    assert page("POST", f"/api/ext/one/{path}/b").status == 204
    assert page("POST", f"/api/ext/two/{path}/c").status == 204


def test_of_events_that_are_kept(site: Site) -> None:
    site.extension("one", SERVICES)
    page = site.session(extension_events_bytes=10_000)
    assert page("POST", "/api/ext/one/say", {"count": 50, "pad": 1_000}).status == 204
    events = page.listen("one", after=0)
    kept: list[int] = []
    sizes: list[int] = []
    while not kept or kept[-1] != 50:
        frame = page.front_end.take(lambda frame: frame.channel == events, "an event")
        kept.append(json.loads(frame.payload)["id"])
        sizes.append(len(frame.payload))
    assert kept == list(range(51 - len(kept), 51))
    assert sum(sizes) <= 10_000 < sum(sizes) + min(sizes)


def test_of_deliveries_at_once(site: Site) -> None:
    """While one is under way the next one waits."""
    site.extension("one", SERVICES)
    limits: dict[str, Any] = {"extension_delivery_allow": "127.0.0.0/8", "extension_delivery_retries": "3600"}
    page = site.session(**limits, extension_deliveries_at_once=1, extension_delivery_seconds=1)
    with socket.create_server(("127.0.0.1", 0)) as silent, receiving() as receiver:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        page("POST", WEBHOOKS, {"url": url, "events": ["one.first"]})
        page("POST", WEBHOOKS, {"url": receiver.url, "events": ["one.second"]})
        for event in ("first", "second"):
            assert page("POST", f"/api/ext/one/fire/{event}").status == 204
        receiver.take()
        assert "no answer after 1 s (extension_delivery_seconds)" in site.log


# The end


class Deaf:
    """A session with the host that does not read what it is told. A context manager."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        command = [sys.executable, "-I", "-m", "spanbridge.extensions.relay.relay"]
        stdin, to = os.pipe()
        self._to = os.fdopen(to, "wb")
        self._from, stdout = os.pipe()
        try:
            self._process = subprocess.Popen(command, stdin=stdin, stdout=stdout, env=environ)
        finally:
            os.close(stdin)
            os.close(stdout)

    def __enter__(self) -> "Deaf":
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.wait()
        self._to.close()
        os.close(self._from)

    def ask(self, path: str) -> None:
        """For more than fits into the pipe; wait until that is full."""
        opened = {"command": "open", "channel": "much", "payload": "http-stream2", "internal": "extensions"}
        self._to.write(encode_control({"command": "init", "version": 1}))
        self._to.write(encode_control({**opened, "method": "GET", "path": path, "binary": "raw"}))
        self._to.write(encode_control({"command": "done", "channel": "much"}))
        self._to.flush()
        # Full, or nearly so: the rest of the message whose beginning lies in it waits in the host.
        wait_until(lambda: self._unread > 50_000, "the pipe to be full")

    def end(self) -> None:
        """The session."""
        self._to.close()
        assert self._process.wait() == 0

    @property
    def _unread(self) -> int:
        count: int
        (count,) = struct.unpack("i", fcntl.ioctl(self._from, termios.FIONREAD, b"\0" * 4))
        return count

    def is_given_up(self, seconds: float) -> bool:
        """Whether that happens within this time."""
        poll = select.poll()
        poll.register(self._from, 0)  # that nobody writes any more is always told
        return bool(poll.poll(seconds * 1_000))

    def is_whole(self) -> bool:
        """Read all that is left; whether it ends with the end of a message."""
        decoder = Decoder()
        while data := os.read(self._from, 65_536):
            decoder.feed(data)
        return not decoder.rest


@pytest.mark.parametrize(("seconds", "is_whole"), [(0.01, False), (1_000, True)])
def test_of_last_words(site: Site, seconds: float, is_whole: bool) -> None:
    """What waits for a session at its end goes out if it reads on in time."""
    site.extension("one", SERVICES)
    bridge = site.bridge(extension_last_words_seconds=seconds, pipe_bytes=65_536)
    page = Page(bridge.front_end)
    assert page.get("/api/ext/one/later").status == 204
    with Deaf(bridge.environ) as deaf:
        deaf.ask("/api/ext/one/much")
        deaf.end()
        assert page.get("/api/ext/one/later").status == 204  # half a second after the end
        assert deaf.is_whole() == is_whole


def test_the_host_does_not_end_while_it_has_last_words_to_say(site: Site) -> None:
    site.extension("one", SERVICES)
    bridge = site.bridge(extension_last_words_seconds=1_000, extension_linger_seconds=0.01, pipe_bytes=65_536)
    assert Page(bridge.front_end).get("/api/ext/one/later").status == 204
    with Deaf(bridge.environ) as deaf:
        deaf.ask("/api/ext/one/much")
        deaf.end()
        bridge.end()
        assert not deaf.is_given_up(0.5)
        assert deaf.is_whole()
    site.wait_log("host-ended")


@pytest.mark.parametrize(("seconds", "is_whole"), [(0.01, False), (1_000, True)])
def test_of_last_words_of_a_host_that_is_told_to_end(site: Site, seconds: float, is_whole: bool) -> None:
    site.extension("one", SERVICES)
    bridge = site.bridge(extension_last_words_seconds=seconds, pipe_bytes=65_536)
    assert Page(bridge.front_end).get("/api/ext/one/later").status == 204
    with Deaf(bridge.environ) as deaf:
        deaf.ask("/api/ext/one/much")
        (pid,) = re.findall(r"host-started pid=(\d+)", site.log)
        os.kill(int(pid), signal.SIGTERM)
        if not is_whole:  # it ends by itself
            site.wait_log("host-ended")
        assert deaf.is_whole() == is_whole
        site.wait_log("host-ended")
