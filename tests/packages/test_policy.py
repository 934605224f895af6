"""Content-Security-Policy and the origin in it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.payloads.packages.policy import Origin, policy_of, read_origin, security_policy

DEFAULT = (
    "default-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none';"
    " font-src 'self' data:; img-src 'self' data:; block-all-mixed-content"
)
NEEDED = [directive.split()[0] for directive in DEFAULT.split("; ")]


def test_the_policy_of_a_manifest_without_one() -> None:
    assert security_policy("", None) == DEFAULT


def test_the_websocket_of_the_origin_may_be_connected_to() -> None:
    expected = DEFAULT.replace("connect-src 'self'", "connect-src 'self' wss://h:1")
    assert security_policy("", Origin("https", "h:1")) == expected


@pytest.mark.parametrize(
    ("wanted", "own"),
    [
        ("img-src *", ["img-src *"]),
        ("img-src *; script-src 'self' 'unsafe-inline'", ["img-src *", "script-src 'self' 'unsafe-inline'"]),
        (" ; IMG-SRC  *;; ", ["IMG-SRC *"]),
        ("connect-src 'none'", ["connect-src 'none'"]),
        ("block-all-mixed-content", ["block-all-mixed-content"]),
        ("default-src-elem x", ["default-src-elem x"]),
    ],
)
def test_what_a_manifest_says_is_kept_and_completed(wanted: str, own: list[str]) -> None:
    named = {directive.split()[0].lower() for directive in own}
    missing = [directive for directive in DEFAULT.split("; ") if directive.split()[0] not in named]
    assert security_policy(wanted, None) == "; ".join([*missing, *own])


@given(st.lists(st.sampled_from([*NEEDED, "script-src", "sandbox"]), unique=True), st.booleans())
def test_every_needed_directive_is_there_once(names: list[str], upper: bool) -> None:
    wanted = "; ".join(f"{name.upper() if upper else name} x" for name in names)
    found = [directive.split()[0].lower() for directive in security_policy(wanted, Origin("http", "h")).split("; ")]
    assert sorted(found) == sorted({*NEEDED, *names})


@pytest.mark.parametrize("policy", [5, None, ["x"], "a\nb", "a\rb", "a\0b", "ä"])
def test_what_cannot_be_a_header_is_no_policy(policy: object) -> None:
    with pytest.raises(ValueError, match='"content-security-policy" of the manifest: expected printable ASCII'):
        policy_of({"content-security-policy": policy})


@pytest.mark.parametrize(
    ("scheme", "host"),
    [("https", "example.com"), ("http", "127.0.0.1:9090"), ("https", "[fe80::1]:443"), ("http", "a_b")],
)
def test_the_origin_of_a_request(scheme: str, host: str) -> None:
    assert read_origin({"x-forwarded-proto": scheme, "x-forwarded-host": host}) == Origin(scheme, host)


@given(st.text(), st.text())
@example("https", "x; script-src *")
@example("https", "")
@example("", "host")
@example("javascript", "host")
@example("https", "a, b")
@example("https", "a/b")
@example("https", "a\n")
@example("https\n", "a")
def test_an_origin_says_nothing_but_scheme_and_host(scheme: str, host: str) -> None:
    origin = read_origin({"x-forwarded-proto": scheme, "x-forwarded-host": host})
    if origin is not None:
        assert origin.scheme in ("http", "https")
        assert not set(origin.host) & set(" \t\r\n;,/'\"<>\0")
        assert origin.host


def test_without_both_headers_there_is_no_origin() -> None:
    assert read_origin({"x-forwarded-proto": "https"}) is None
    assert read_origin({"x-forwarded-host": "h"}) is None
    assert read_origin({}) is None
