"""Host keys: unknown, changed, revoked, given with the open; and those of jump hosts."""

from typing import Any

from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from .farm import Farm
from .test_connect import SESSIONS, echo

HOST = "alice@far"


def closed(front: FrontEnd, channel: str, **members: Any) -> dict[str, Any]:
    front.open(channel, "echo", **{"host": HOST, **members})
    return front.expect("close", channel)


def key_of(other: Farm, name: str) -> str:
    return " ".join((other.directory / f"keys/{name}.pub").read_text().split()[:2])


def test_one_that_is_not_known(other: Farm, begin: Start) -> None:
    """It is told, and with it the next open succeeds; nobody has written it down."""
    other.use_key()
    other.write("known_hosts", "")
    bridge = begin()
    for session, code in {"shared": "unknown-host", "private": "unknown-hostkey"}.items():
        told = closed(bridge.front_end, session, session=session)
        assert told["problem"] == told["error"] == code
        assert told["auth-method-results"] == {}
        assert told["host-key"] == f"far {other.host_key}"
        assert told["host-fingerprint"].startswith("SHA256:")
        assert told["host-fingerprint"] in told["message"]
        echo(bridge, HOST, f"{session} again", session=session, **{"host-key": told["host-key"]})
    assert (other.front_home / ".ssh/known_hosts").read_text() == ""


def test_the_line_is_as_known_hosts_has_it(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("known_hosts", "")
    other.write("config", "Host named\n    HostName far\n    HostKeyAlias aliased\n")
    front = begin().front_end
    assert closed(front, "a", host="alice@named")["host-key"] == f"aliased {other.host_key}"
    assert closed(front, "b", host="alice@[::1]:22")["host-key"] == f"::1 {other.host_key}"
    told = closed(front, "c", host="alice@far:2200")
    assert told["host-key"] == f"[far]:2200 {other.host_key}"
    other.write("known_hosts", told["host-key"] + "\n")
    front.open("d", "echo", host="alice@far:2200")
    front.expect("ready", "d")


def test_one_that_has_changed(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("known_hosts", f"far {key_of(other, 'other')}\n")
    bridge = begin()
    for session in SESSIONS:
        told = closed(bridge.front_end, session, session=session)
        assert told["problem"] == told["error"] == "invalid-hostkey"
        assert told["host-key"] == f"far {other.host_key}"
        echo(bridge, HOST, f"{session} again", session=session, **{"host-key": told["host-key"]})


def test_one_that_is_revoked_is_not_offered(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("known_hosts", f"@revoked * {other.host_key}\n")
    told = closed(begin().front_end, "a")
    assert told["problem"] == "invalid-hostkey"
    assert "host-key" not in told
    assert "revoked" in told["message"]


def test_with_a_key_that_is_given_no_other_is_trusted(other: Farm, begin: Start) -> None:
    """Whatever else the user's configuration would trust."""
    other.use_key()
    other.write("config", "NoHostAuthenticationForLocalhost yes\nVerifyHostKeyDNS yes\n")
    front = begin().front_end
    told = closed(front, "a", **{"host-key": f"far {key_of(other, 'other')}"})
    assert told["problem"] in ("invalid-hostkey", "unknown-host")
    assert told["host-key"] == f"far {other.host_key}"


def test_a_banner_that_speaks_of_keys(begin: Start) -> None:
    """What the host says is not what ssh says."""
    assert closed(begin().front_end, "a", host="bannered@far")["problem"] == "authentication-failed"


JUMP = "Host far\n    ProxyJump keyed@jump\n"


def test_through_a_jump_host(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("config", JUMP)
    echo(begin(), HOST)


def test_a_jump_host_that_is_not_known(other: Farm, begin: Start) -> None:
    """No key is told: the message names the jump host."""
    other.use_key()
    other.write("known_hosts", f"far {other.host_key}\n")
    front = begin().front_end
    for strict in ("ask", "yes"):
        other.write("config", f"{JUMP}Host jump\n    StrictHostKeyChecking {strict}\n")
        told = closed(front, strict)
        assert told["problem"] == "unknown-host"
        assert "host-key" not in told
        assert "jump" in told["message"]
        assert ("SHA256:" in told["message"]) == (strict == "ask")


def test_a_jump_host_whose_key_has_changed(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("known_hosts", f"far {other.host_key}\njump {key_of(other, 'other')}\n")
    other.write("config", JUMP)
    told = closed(begin().front_end, "a")
    assert told["problem"] == "invalid-hostkey"
    assert "host-key" not in told
    assert "SHA256:" in told["message"]


def test_an_unknown_host_behind_a_jump_host(other: Farm, begin: Start) -> None:
    other.use_key()
    other.write("known_hosts", f"jump {other.host_key}\n")
    other.write("config", JUMP)
    told = closed(begin().front_end, "a")
    assert told["problem"] == "unknown-host"
    assert told["host-key"] == f"far {other.host_key}"


def test_a_jump_host_that_does_not_let_us_in(other: Farm, begin: Start) -> None:
    other.use_key("other")
    other.write("config", JUMP)
    told = closed(begin().front_end, "a", password="sesam")
    assert told["problem"] == "authentication-failed"
    assert told["auth-method-results"] == {}
    assert "sesam" not in other.log
