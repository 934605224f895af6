"""Webhooks: delivered, signed, tried again; and only to where they may go."""

import asyncio
import ipaddress
import json
import queue
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from standardwebhooks import Webhook

from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.services.addresses import (
    Allowed,
    Refused,
    is_allowed,
    known_or_refused,
    networks,
    target_of,
)
from spanbridge.extensions.services.attempt import attempt, retry_after
from spanbridge.extensions.services.outcome import Outcome
from spanbridge.payloads.connect.names import Resolver

from .receiver import receiving
from .site import Site, wait_until

SOURCE = """
def init(router, services):
    @router.post("/fire")
    def fire(req):
        services.webhooks.fire(req.body["event"], req.body.get("data"))
"""
WEBHOOKS, DELIVERIES = "/api/extensions/webhooks", "/api/extensions/webhooks/deliveries"
FIRE = "/api/ext/hooks/fire"
HERE: dict[str, Any] = {"extension_delivery_allow": "127.0.0.0/8"}


def test_a_delivery_verifies(site: Site) -> None:
    site.extension("hooks", SOURCE)
    page = site.session(**HERE)
    with receiving() as receiver:
        made = page("POST", WEBHOOKS, {"url": f"{receiver.url}/in?x=1", "events": ["hooks.item.*"]})
        assert made.status == 201
        assert page("POST", FIRE, {"event": "other"}).status == 204
        assert page("POST", FIRE, {"event": "item.made", "data": {"n": 1}}).status == 204
        got = receiver.take()
        assert got.path == "/in?x=1"
        told = Webhook(made.json["secret"]).verify(got.body, got.headers)
        assert (told["type"], told["data"]) == ("hooks.item.made", {"n": 1})
        assert page.get(WEBHOOKS).json["webhooks"] == [
            {"id": made.json["id"], "url": f"{receiver.url}/in?x=1", "events": ["hooks.item.*"]}
        ]
        assert page("DELETE", f"{WEBHOOKS}/{made.json['id']}").status == 204
        assert page("DELETE", f"{WEBHOOKS}/{made.json['id']}").status == 404
        page("POST", FIRE, {"event": "item.made"})
        assert page.get(DELIVERIES).json == {"deliveries": []}
        assert receiver.empty


_GOOD = {
    "id": "x",
    "kind": "webhook",
    "target": "ep_x",
    "type": "t",
    "body": b"{}",
    "options": "{}",
    "state": "waiting",
    "attempts": 0,
    "due": 1.0,
    "status": 0,
    "error": "",
    "made": 1.0,
}
_NO_DELIVERIES: list[dict[str, Any]] = [
    {"kind": "letter"},
    {"kind": b"\xff"},
    {"options": "{"},
    {"options": "[]"},
    {"options": "[" * 100_000},
    {"options": b"{}\xff"},
    {"body": "text"},
    {"attempts": "many"},
    {"attempts": -1},
    {"made": "then"},
    {"type": b"\xff"},
    {"target": b"\xff"},
]


def test_what_somebody_has_written_keeps_no_other_from_its_receiver(site: Site) -> None:
    site.extension("hooks", SOURCE)
    page = site.session(**HERE)
    with receiving() as receiver:
        assert page("POST", WEBHOOKS, {"url": receiver.url}).status == 201
        _write(site, _NO_DELIVERIES)
        assert page("POST", FIRE, {"event": "x"}).status == 204
        assert receiver.take().headers["webhook-id"]
        wait_until(lambda: len(page.get(DELIVERIES).json["deliveries"]) == len(_NO_DELIVERIES), "it to be noted")
    told = sorted(page.get(DELIVERIES).json["deliveries"], key=lambda each: str(each["id"]))
    assert {each["state"] for each in told} == {"dead"}
    assert all(each["error"].startswith("no delivery: ") for each in told)
    assert "attempts" in told[8]["error"]
    endpoints = {each["id"]: each for each in page.get(WEBHOOKS).json["webhooks"]}
    assert [endpoints[ident]["events"] for ident in ("a", "b", "\\xff")] == [[], [], ["*"]]
    assert all("events: " in endpoints[ident]["broken"] for ident in ("a", "b"))
    assert site.log.count("error webhooks ") == 3


def _write(site: Site, rows: list[dict[str, Any]]) -> None:
    with closing(sqlite3.connect(site.state / "deliveries.db")) as db, db:
        for number, each in enumerate(rows):
            row = {**_GOOD, "id": f"{number:02}", **each}
            values = [f":{name}" if name == "body" else f"CAST(:{name} AS TEXT)" for name in row]
            db.execute(f"INSERT INTO deliveries VALUES ({', '.join(values)})", row)
        db.execute("INSERT INTO endpoints VALUES ('a', 'http://192.0.2.1/', '{', 'whsec_')")
        db.execute("INSERT INTO endpoints VALUES ('b', CAST(x'ff' AS TEXT), '[1]', 'whsec_')")
        db.execute("INSERT INTO endpoints VALUES (CAST(x'ff' AS TEXT), 'http://192.0.2.1/', '[\"*\"]', 'whsec_')")


def test_what_fails_is_tried_again_over_a_restart(site: Site) -> None:
    site.extension("hooks", SOURCE)
    limits = {**HERE, "extension_delivery_retries": "1,1,1"}
    with receiving() as receiver:
        receiver.answers = [(500, {}), (302, {"Location": "/elsewhere"}), (200, {})]
        bridge = site.bridge(**limits)
        page = _page(bridge)
        page("POST", WEBHOOKS, {"url": receiver.url})
        page("POST", FIRE, {"event": "x"})
        first = receiver.take()
        wait_until(lambda: _state(page) == [(1, 500, "waiting")], "the first failure to be noted")
        bridge.end()
        page = site.session(**limits)
        page.get("/api/extensions")
        second, third = receiver.take(), receiver.take()
        assert {each.headers["webhook-id"] for each in (first, second, third)} == {first.headers["webhook-id"]}
        wait_until(lambda: _state(page) == [], "the delivery to be forgotten")


def test_dead_and_gone(site: Site) -> None:
    site.extension("hooks", SOURCE)
    page = site.session(**HERE, extension_delivery_retries="0")
    with receiving() as receiver:
        receiver.answers = [(503, {}), (503, {}), (410, {})]
        page("POST", WEBHOOKS, {"url": receiver.url})
        page("POST", FIRE, {"event": "x"})
        receiver.take(), receiver.take()
        wait_until(lambda: _state(page) == [(2, 503, "dead")], "the delivery to be dead")
        (dead,) = page.get(f"{DELIVERIES}?state=dead").json["deliveries"]
        assert page("POST", f"{DELIVERIES}/{dead['id']}/retry").status == 202
        assert page("POST", f"{DELIVERIES}/absent/retry").status == 404
        receiver.take()
        wait_until(lambda: page.get(WEBHOOKS).json == {"webhooks": []}, "the endpoint to be gone")
        assert page.get(f"{DELIVERIES}?state=unknown").error == (400, "bad-request")


def _page(bridge: Any) -> Any:
    from .site import Page

    return Page(bridge.front_end)


def _state(page: Any) -> list[tuple[int, int, str]]:
    found = page.get(DELIVERIES).json["deliveries"]
    return [(each["attempts"], each["status"], each["state"]) for each in found]


@pytest.mark.parametrize(
    "endpoint",
    [
        {"url": "http://127.0.0.1/"},
        {"url": "http://localhost:8000/"},
        {"url": "http://a.LocalHost./"},
        {"url": "http://[::1]/"},
        {"url": "http://10.1.2.3/"},
        {"url": "http://0.0.0.0/"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"url": "http://[::ffff:127.0.0.1]/"},
        {"url": "http://2130706433/"},
        {"url": "http://user:word@example.org/"},
        {"url": "ftp://example.org/"},
        {"url": "file:///etc/passwd"},
        {"url": "unix:/run/x"},
        {"url": "https:///path"},
        {"url": "http://example.org:99999/"},
        {"url": "http://203.0.113.1/\r\nX: y"},
        {"url": f"http://{'a' * 64}.example.org/"},
        {"url": "http://example..org/"},
        {"url": "https://203.0.113.1/", "secret": "short"},
        {"url": "https://8.8.8.8/", "secret": "whsec_c2hvcnQ="},
        {"url": "https://8.8.8.8/", "secret": "whsec_\u00e9" + "x" * 40},
        {"url": "https://8.8.8.8/", "events": []},
        {"url": "https://8.8.8.8/", "events": ["a b"]},
        {"url": 3},
        {},
    ],
)
def test_endpoints_that_are_refused(shared: Site, endpoint: dict[str, Any]) -> None:
    shared.extension("hooks", SOURCE)
    page = shared.session()
    answer = page("POST", WEBHOOKS, endpoint)
    assert answer.error == (400, "bad-request"), answer


def test_which_addresses_are_public() -> None:
    refused = "127.0.0.1 ::1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.1.1 fe80::1 fc00::1 224.0.0.1 ff02::1 0.0.0.0 ::"
    refused += " ::ffff:8.8.8.8 64:ff9b::808:808 100.64.0.1 192.0.2.1 240.0.0.1 255.255.255.255 2002:808:808::1"
    for text in refused.split():
        assert not is_allowed(ipaddress.ip_address(text), []), text
        assert is_allowed(ipaddress.ip_address(text), networks(f"192.0.2.9,{text}")), text
    for text in ("8.8.8.8", "2001:4860:4860::8888"):
        assert is_allowed(ipaddress.ip_address(text), [])


def test_a_resolver_that_is_silent_holds_nobody_up(tmp_path: Path) -> None:
    """Neither who reads files in threads meanwhile, nor what goes to an address, nor the end of the host. What has no
    place in time (`lookups`) has failed at its own limit, and takes no place later."""
    on, asked = threading.Event(), queue.SimpleQueue[bytes]()
    real, log = socket.getaddrinfo, HostLog(str(tmp_path / "host.log"), 1_000_000)

    def silent(host: bytes, *arguments: Any, **options: Any) -> Any:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(host, *arguments, **options)
        asked.put(host)
        on.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "silent")

    async def deliver(here: str) -> None:
        allowed = Allowed(networks("127.0.0.0/8"), Resolver(asyncio.get_running_loop(), log, 2).addresses)

        async def one(url: str, seconds: float) -> Outcome:
            return await attempt(target_of(url), {}, b"", allowed, seconds)

        stuck = [asyncio.create_task(one(f"http://{name}.example.org/", 60)) for name in "ab"]
        first = [await asyncio.to_thread(asked.get, True, 60) for _ in stuck]
        assert sorted(first) == [b"a.example.org", b"b.example.org"]
        for task in stuck:
            task.cancel()
        late = await one("http://c.example.org/", 0.05)
        assert late.why == "no answer after 0.05 s (extension_delivery_seconds)"
        await known_or_refused(target_of("http://d.example.org/"), allowed, 0.05)
        assert (await one(here, 60)).good
        on.set()
        assert "silent" in (await one("http://e.example.org/", 60)).why
        assert (asked.get(timeout=60), asked.empty()) == (b"e.example.org", True)

    with patch("socket.getaddrinfo", silent), receiving() as receiver:
        try:
            asyncio.run(deliver(receiver.url))
        finally:
            on.set()
    assert "limit name=lookups value=2" in (tmp_path / "host.log").read_text()


def test_a_name_that_turns_private_is_refused_at_delivery(site: Site) -> None:
    """What was allowed when it was set up is looked at again each time."""
    site.extension("hooks", SOURCE)
    with receiving() as receiver:
        bridge = site.bridge(**HERE)
        page = _page(bridge)
        page("POST", WEBHOOKS, {"url": receiver.url})
        bridge.end()
        page = site.session()
        page("POST", FIRE, {"event": "x"})
        wait_until(lambda: _state(page) == [(1, 0, "waiting")], "the delivery to fail")
        (told,) = page.get(DELIVERIES).json["deliveries"]
        assert "no public address" in told["error"]
        assert receiver.empty


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"", 0),
        (b" 7 ", 7),
        (b"86400", 3600),
        (b"9" * 400, 3600),
        (b"-5", 0),
        (b"\xb2", 0),
        (b"soon", 0),
        (b"Wed, 21 Oct 2099 07:28:00 GMT", 3600),
        (b"Wed, 21 Oct 2015 07:28:00 GMT", 0),
        (b"Wed, 99 Oct 2026 99:28:00 GMT", 0),
        (b"Wed, 21 Oct 99999 07:28:00 GMT", 0),
    ],
)
def test_when_to_try_again(value: bytes, seconds: float) -> None:
    """Nothing that stands there makes an answer a failure."""
    assert retry_after(value) == seconds


def test_targets() -> None:
    target = target_of("https://example.org")
    assert (target.authority, target.path, target.port, target.secure) == ("example.org", "/", 443, True)
    assert target_of("http://[2001:db8::1]:8080/a?b#c").authority == "[2001:db8::1]:8080"
    with pytest.raises(Refused):
        target_of("http://exa mple.org")


def test_events_that_are_refused(shared: Site) -> None:
    shared.extension("hooks", SOURCE)
    page = shared.session()
    for body in ({"event": ""}, {"event": "a b"}, {"event": "x" * 129}, {"event": "x", "data": "x" * 300_000}):
        assert page("POST", FIRE, body).status == 500, json.dumps(body)[:50]


def test_what_waits_is_bounded_and_the_dead_go_first(site: Site) -> None:
    site.extension("hooks", SOURCE)
    page = site.session(**HERE, extension_deliveries_bytes=40_000, extension_delivery_retries="3600")
    body = {"event": "x", "data": "y" * 9_000}
    with receiving() as receiver:
        receiver.answers = [(410, {})]  # which is the end of this endpoint, and of the delivery
        page("POST", WEBHOOKS, {"url": receiver.url})
        page("POST", FIRE, body)
        receiver.take()
        wait_until(lambda: _state(page) == [(1, 410, "dead")], "the delivery to be dead")
        receiver.answers = [(500, {})] * 10
        page("POST", WEBHOOKS, {"url": receiver.url})
        taken = 0
        while page("POST", FIRE, body).status == 204:
            taken += 1
    assert taken == 4
    assert "extension_deliveries_bytes" in site.log
    assert len(page.get(f"{DELIVERIES}?state=waiting").json["deliveries"]) == taken
    assert page.get(f"{DELIVERIES}?state=dead").json["deliveries"] == []
    assert page("POST", FIRE, {"event": "x"}).status == 204
