"""Why ssh has ended, read from its words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.helpers.hosts.failure import Attempt, KeyRefused, not_let_in, read_failure, told

FINGERPRINT = "SHA256:Wi1qeZSpJDTz5iFRbWWqkTS3qW79dLAA+7DELP33V5w."
RULE = "@" * 59
VERIFICATION = "Host key verification failed."
CHANGED = [
    RULE,
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
    RULE,
    "The fingerprint for the ED25519 key sent by the remote host is",
    FINGERPRINT,
    "Host key for far has changed and you have requested strict checking.",
    VERIFICATION,
]
REVOKED = [
    "@       WARNING: REVOKED HOST KEY DETECTED!               @",
    "The ED25519 host key for far is marked as revoked.",
    "ED25519 host key for far was revoked and you have requested strict checking.",
    VERIFICATION,
]
UNKNOWN = ["No ED25519 host key is known for far and you have requested strict checking.", VERIFICATION]
PIPE = ["kex_exchange_identification: Connection closed by remote host", "Connection closed by UNKNOWN port 65535"]
EXPIRED = ["WARNING: Your password has expired.", "Password change required but no TTY available."]
DENIED = "bob@far: Permission denied (publickey,password,keyboard-interactive)."

# lines of stderr -> problem, and a part of the message
BY_LINES: dict[str, tuple[list[str], str, str]] = {
    "no such name": (
        ["ssh: Could not resolve hostname far: Name or service not known"],
        "no-host",
        "Could not resolve hostname far",
    ),
    "refused": (["ssh: connect to host far port 22: Connection refused"], "no-host", "Connection refused"),
    "no route": (["ssh: connect to host far port 22: No route to host"], "no-host", "No route"),
    "timed out": (["ssh: connect to host far port 22: Connection timed out"], "no-host", "timed out"),
    "closed": (["kex_exchange_identification: Connection closed by remote host"], "no-host", "closed by remote host"),
    "closed by name": (["Connection closed by 127.0.0.1 port 22"], "no-host", "Connection closed"),
    "reset": (["Connection reset by 127.0.0.1 port 22"], "no-host", "reset"),
    "nothing in common": (
        ["Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa"],
        "no-host",
        "no matching host key type",
    ),
    "not let in": ([DENIED], "authentication-failed", "Permission denied"),
    "not let in at an address": (["bob@::1: Permission denied (publickey)."], "authentication-failed", "publickey"),
    "not let in, with a colon": (["a:b@far: Permission denied (publickey)."], "authentication-failed", "publickey"),
    "no name to ssh": (["hostname contains invalid characters"], "no-host", "invalid"),
    "no user to ssh": (["remote username contains invalid characters"], "no-host", "invalid"),
    "not let in, without a name": (["Permission denied (publickey)."], "authentication-failed", "publickey"),
    "too many keys": (
        [
            "Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures",
            "Disconnected from 127.0.0.1 port 22",
        ],
        "authentication-failed",
        "Too many",
    ),
    "shut down": (
        ["Received disconnect from 127.0.0.1 port 22:11: going away", "Disconnected from 127.0.0.1 port 22"],
        "no-host",
        "going away",
    ),
    "unknown key": (UNKNOWN, "unknown-host", "not known"),
    "changed key": (CHANGED, "invalid-hostkey", "changed"),
    "revoked key": (REVOKED, "invalid-hostkey", "revoked"),
    "unknown key of a jump host": ([*UNKNOWN, *PIPE], "unknown-host", "jump host"),
    "changed key of a jump host": ([*CHANGED, *PIPE], "invalid-hostkey", FINGERPRINT),
    "a jump host that does not let us in": (
        ["bob@jump: Permission denied (publickey).", *PIPE],
        "authentication-failed",
        "bob@jump",
    ),
    "a proxy that ends": (["nc: cannot connect", *PIPE], "no-host", "nc: cannot connect"),
    "a bad configuration": (
        ["/home/bob/.ssh/config: line 3: Bad configuration option: foo", "terminating, 1 bad configuration options"],
        "internal-error",
        "terminating",
    ),
    "no words": ([], "internal-error", "nothing"),
    "a banner that says otherwise": ([VERIFICATION, DENIED], "authentication-failed", "Permission denied"),
    "a banner that says less": ([f"> {VERIFICATION}"], "internal-error", "Host key"),
}


@pytest.mark.parametrize("case", BY_LINES)
def test_what_ssh_says(case: str) -> None:
    lines, code, part = BY_LINES[case]
    problem = read_failure(Attempt("bob@far", 255, lines))
    assert problem.code == code
    assert part in problem.message
    assert problem.message.startswith("bob@far: ")


# status, whether our command began, lines -> problem, part of the message
BY_STATUS: dict[str, tuple[int, bool, list[str], str, str]] = {
    "no bridge": (127, True, [], "no-cockpit", "install"),
    "no shell": (127, False, ["bash: exec: sh: not found"], "no-cockpit", "login shell"),
    "no login": (1, False, [], "no-cockpit", "login shell"),
    "a bridge that ends": (3, True, ["Traceback"], "internal-error", "Traceback"),
    "an expired password": (1, False, EXPIRED, "authentication-failed", "Password change required"),
    "a bridge that is killed": (255, True, [], "internal-error", "its bridge was ended"),
    "ended by a signal": (-9, False, [], "internal-error", "signal 9"),
}


@pytest.mark.parametrize("case", BY_STATUS)
def test_how_the_command_ends(case: str) -> None:
    status, began, lines, code, part = BY_STATUS[case]
    problem = read_failure(Attempt("far", status, lines, began=began))
    assert problem.code == code
    assert part in problem.message


# what was tried -> error and results
RESULTS: dict[str, tuple[dict[str, Any], str, str, dict[str, str]]] = {
    "nothing": (
        {},
        "publickey,password",
        "authentication-failed",
        {"publickey": "not-provided", "password": "not-provided"},
    ),
    "a password": ({"password": True}, "publickey,password", "authentication-failed", {"password": "denied"}),
    "interactive": (
        {"password": True, "interactive": True},
        "keyboard-interactive",
        "authentication-failed",
        {"keyboard-interactive": "denied", "password": "denied"},
    ),
    "interactive alone": (
        {},
        "keyboard-interactive",
        "authentication-failed",
        {"keyboard-interactive": "not-provided", "password": "not-provided"},
    ),
    "a locked key": ({"locked": "/k"}, "publickey", "locked identity: /k", {"publickey": "not-provided"}),
}


@pytest.mark.parametrize("case", RESULTS)
def test_what_was_tried(case: str) -> None:
    tried, methods, error, results = RESULTS[case]
    problem = read_failure(Attempt("far", 255, [f"Permission denied ({methods})."], **tried))
    assert problem.members["error"] == error
    found: Any = problem.members["auth-method-results"]
    assert {name: found.get(name) for name in results} == results
    assert found.keys() == results.keys() | set(methods.split(","))


def test_a_key_of_a_jump_host_that_was_asked_about() -> None:
    problem = read_failure(Attempt("far", 255, [VERIFICATION, *PIPE], jump=f"jump (127.0.0.2), {FINGERPRINT}"))
    assert isinstance(problem, KeyRefused)
    assert not problem.probe
    assert FINGERPRINT in problem.message
    assert problem.members == {"error": "unknown-host", "auth-method-results": {}}


@pytest.mark.parametrize(("lines", "probe"), [(UNKNOWN, True), (CHANGED, True), (REVOKED, False)])
def test_whether_the_key_is_fetched(lines: list[str], probe: bool) -> None:
    problem = read_failure(Attempt("far", 255, lines))
    assert isinstance(problem, KeyRefused)
    assert problem.probe == probe


def test_ssh_names_the_host_too() -> None:
    assert told("a\u200bb", "a\u200bb: no") == "a b: no"


@given(st.text(), st.text(max_size=5_000))
def test_a_message_has_no_control_characters_and_an_end(host: str, why: str) -> None:
    message = told(host, why)
    assert message.isprintable()
    assert len(message.encode()) <= 2_048


@given(st.integers(-64, 255), st.lists(st.text(max_size=80), max_size=8), st.booleans())
def test_any_words(status: int, lines: list[str], began: bool) -> None:
    problem = read_failure(Attempt("far", status, lines, began=began))
    assert problem.code
    assert problem.message.startswith("far: ")
    assert not_let_in(Attempt("far", status, lines), "no").code == "authentication-failed"
