"""The headers of an answer."""

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import Client, write_package
from .conftest import Ask

ORIGIN = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.example:9090"}


def test_a_page_has_a_policy(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "plain", {"index.html": "<p>", "X.HTML": "<p>", "x.js": ""})
    write_package(home.data_home, "own", {"index.html": "<p>"}, **{"content-security-policy": "img-src *; style-src x"})
    client = ask()
    policy = client.get("/plain/index.html").headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none';"
        " font-src 'self' data:; img-src 'self' data:; block-all-mixed-content"
    )
    seen = client.get("/own/index.html", ORIGIN).headers
    assert seen["Content-Security-Policy"] == (
        "default-src 'self'; connect-src 'self' wss://front.example:9090; form-action 'self'; base-uri 'self';"
        " object-src 'none'; font-src 'self' data:; block-all-mixed-content; img-src *; style-src x"
    )
    assert client.get("/plain/X.HTML").headers["Content-Security-Policy"] == policy
    assert "Content-Security-Policy" not in client.get("/plain/x.js").headers


def test_a_policy_that_cannot_be_sent_is_left_out_and_told_once(home: Home, start: Start) -> None:
    write_package(home.data_home, "pkg", {"index.html": "<p>"}, **{"content-security-policy": "img-src *\r\nX-Evil: 1"})
    bridge = start()
    client = Client(bridge.front_end)
    for _ in range(2):
        headers = client.get("/pkg/index.html").headers
        assert "X-Evil" not in str(headers)
        assert headers["Content-Security-Policy"].startswith("default-src 'self'; connect-src")
    assert len(bridge.log.matches("warning: package package=pkg .*content-security-policy")) == 1


def test_what_is_no_origin_is_left_out(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "pkg", {"index.html": "<p>"})
    client = ask()
    for headers in (
        {"X-Forwarded-Host": "h"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "h; script-src *"},
        {"X-Forwarded-Proto": "data", "X-Forwarded-Host": "h"},
    ):
        seen = client.get("/pkg/index.html", headers).headers
        assert "Access-Control-Allow-Origin" not in seen
        assert "connect-src 'self';" in seen["Content-Security-Policy"]


def test_every_answer_allows_the_origin(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "pkg", {"a.js": "a"})
    client = ask()
    for path in ["/pkg/a.js", "/*/a.js", "/manifests.json", "/manifests.js", "/manifests-i18n.js", "/checksum", "/x/y"]:
        assert client.get(path, ORIGIN).headers["Access-Control-Allow-Origin"] == "https://front.example:9090"


def test_content_types(home: Home, ask: Ask) -> None:
    kinds = {
        "a.html": "text/html",
        "a.css": "text/css",
        "b.CSS": "text/css",
        "a.svg": "image/svg+xml",
        "a.woff2": "font/woff2",
        "a.json": "application/json",
        "a.unknown": "text/plain",
        "README": "text/plain",
        "js": "application/javascript",
        "a.d/README": "text/plain",
    }
    write_package(home.data_home, "pkg", dict.fromkeys(kinds, "x"))
    client = ask()
    assert {name: client.get(f"/pkg/{name}").headers["Content-Type"] for name in kinds} == kinds
