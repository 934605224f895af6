"""Why ssh has ended before the bridge over there spoke, read from its own words (docs/hosts.md, "Problems").

ssh tells it on stderr, in English, where banners of the host and messages of login scripts land too. So whole lines are
looked at, and the last one that decides does: ssh says it at its end.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from spanbridge.protocol.problems import (
    AUTHENTICATION_FAILED,
    INTERNAL_ERROR,
    INVALID_HOSTKEY,
    NO_COCKPIT,
    NO_HOST,
    UNKNOWN_HOST,
    Problem,
)

from .remote_command import NOTHING_FITS

MESSAGE_BYTES: Final = 2_048
_SSH_FAILED: Final = 255  # its exit status for whatever went wrong in itself
_SHOWN: Final = 300  # characters of one line of ssh


class Attempt(NamedTuple):
    """How one run of ssh went. `status`: its exit status, below 0 the signal that ended it. `lines`: the end of its
    stderr. `began`: the login shell over there has run our command. `password`: one was given to it;
    `interactive`: as an answer of keyboard-interactive. `locked`: the path of the first key whose passphrase it asked
    for, else empty. `jump`: its question about the key of a jump host, else empty."""

    host: str
    status: int
    lines: Sequence[str]
    began: bool = False
    password: bool = False
    interactive: bool = False
    locked: str = ""
    jump: str = ""


class KeyRefused(Problem):
    """The host key is not trusted. `known`: another was. `probe`: it may be fetched, and told."""

    def __init__(self, code: str, message: str, *, probe: bool) -> None:
        super().__init__(code, message, **{"error": code, "auth-method-results": {}})
        self.probe = probe


def read_failure(attempt: Attempt) -> Problem:
    """The problem that the channels are closed with."""
    if attempt.status != _SSH_FAILED:
        return _command_ended(attempt)
    for index in range(len(attempt.lines) - 1, -1, -1):
        for pattern, read in _DECISIVE:
            found = pattern.fullmatch(attempt.lines[index].rstrip("\r"))
            if found is not None:
                return read(attempt, found, attempt.lines[:index])
    what = "its bridge was ended before it spoke" if attempt.began else "ssh has failed"
    return Problem(INTERNAL_ERROR, _told(attempt, f"{what}: {_last(attempt)}"))


def not_let_in(attempt: Attempt, why: str, methods: Sequence[str] = ()) -> Problem:
    """Authentication has failed. `methods`: those that the host offers, as ssh lists them."""
    error = f"locked identity: {attempt.locked}" if attempt.locked else AUTHENTICATION_FAILED
    results = dict.fromkeys(methods, "not-provided")
    if "keyboard-interactive" in results:  # front ends offer a field for a password by that name alone
        results.setdefault("password", "not-provided")
    if attempt.password:
        results["password"] = "denied"  # noqa: S105
        if attempt.interactive:
            results["keyboard-interactive"] = "denied"
    members: dict[str, Any] = {"error": error, "auth-method-results": results}
    return Problem(AUTHENTICATION_FAILED, _told(attempt, why), **members)


def told(host: str, why: str) -> str:
    """A message about `host`, without control characters and not too long."""
    host, why = _printable(host), _printable(why)
    text = f"{host}: {why.removeprefix(f'{host}: ')}"  # ssh names it in some of its lines
    return text.encode("utf-8", "replace")[:MESSAGE_BYTES].decode("utf-8", "ignore")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _told(attempt: Attempt, why: str) -> str:
    return told(attempt.host, why)


def _last(attempt: Attempt) -> str:
    return next((line[:_SHOWN] for line in reversed(attempt.lines) if line.strip()), "it said nothing")


def _command_ended(attempt: Attempt) -> Problem:
    """ssh ended as what it ran over there did, or was ended itself."""
    if attempt.status < 0:
        return Problem(INTERNAL_ERROR, _told(attempt, f"ssh was ended by signal {-attempt.status}: {_last(attempt)}"))
    if attempt.began and attempt.status == NOTHING_FITS:
        return Problem(
            NO_COCKPIT,
            _told(
                attempt,
                "neither spanbridge nor cockpit-bridge is installed there, nor a python3 that could run ours;"
                " install one of them",
            ),
        )
    if attempt.began:
        why = f"its bridge has ended with status {attempt.status}: {_last(attempt)}"
        return Problem(INTERNAL_ERROR, _told(attempt, why))
    if any(_EXPIRED.fullmatch(line.rstrip("\r")) for line in attempt.lines):
        return not_let_in(attempt, _last(attempt))
    return Problem(
        NO_COCKPIT,
        _told(
            attempt,
            f"the login shell has ended with status {attempt.status} and not run the bridge: {_last(attempt)}",
        ),
    )


# What a line of ssh means


def _denied(attempt: Attempt, found: re.Match[str], before: Sequence[str]) -> Problem:
    return not_let_in(attempt, found[0], [method for method in found[1].split(",") if method])


def _disconnected(attempt: Attempt, found: re.Match[str], before: Sequence[str]) -> Problem:
    return not_let_in(attempt, found[0])


def _unreachable(attempt: Attempt, found: re.Match[str], before: Sequence[str]) -> Problem:
    return Problem(NO_HOST, _told(attempt, found[0]))


def _key_refused(attempt: Attempt, found: re.Match[str], before: Sequence[str]) -> Problem:
    if any(_REVOKED.fullmatch(line) for line in before):
        return KeyRefused(INVALID_HOSTKEY, _told(attempt, "its host key is marked as revoked"), probe=False)
    if any(_CHANGED.fullmatch(line) for line in before):
        return KeyRefused(INVALID_HOSTKEY, _told(attempt, "its host key has changed"), probe=True)
    return KeyRefused(UNKNOWN_HOST, _told(attempt, "its host key is not known"), probe=True)


def _closed(attempt: Attempt, found: re.Match[str], before: Sequence[str]) -> Problem:
    """The connection ended before anybody was let in. Where it leads through a jump host, that one's ssh has said why
    before: it stands behind the name UNKNOWN."""
    if attempt.jump:
        return KeyRefused(UNKNOWN_HOST, _told(attempt, f"a jump host is not known: {attempt.jump}"), probe=False)
    if found[0].endswith(_THROUGH_A_PIPE):
        return _through_a_jump_host(attempt, before) or Problem(NO_HOST, _told(attempt, _why_no_pipe(found[0], before)))
    return _unreachable(attempt, found, before)


def _why_no_pipe(closed: str, before: Sequence[str]) -> str:
    """What leads there has mostly said it in the line before."""
    said = (line.rstrip("\r") for line in reversed(before) if line.strip())
    line = next((line[:_SHOWN] for line in said if not _NO_ANSWER.fullmatch(line)), "")
    return f"{closed}; before that: {line}" if line else closed


def _through_a_jump_host(attempt: Attempt, before: Sequence[str]) -> Problem | None:
    lines = [line.rstrip("\r") for line in before]
    if "Host key verification failed." in lines:
        named = next((line for line in reversed(lines) if _NAMED.fullmatch(line)), "its key was refused")
        print_ = next((line for line in reversed(lines) if _FINGERPRINT.fullmatch(line)), "")
        changed = any(_CHANGED.fullmatch(line) or _REVOKED.fullmatch(line) for line in lines)
        why = f"the key of a jump host is not trusted: {named} {print_}".rstrip()
        return KeyRefused(INVALID_HOSTKEY if changed else UNKNOWN_HOST, _told(attempt, why), probe=False)
    denied = next((line for line in reversed(lines) if _DENIED.fullmatch(line)), None)
    if denied is not None:  # no member names its methods: what is given as a password does not go there
        return not_let_in(Attempt(attempt.host, attempt.status, lines), f"a jump host does not let us in: {denied}")
    return None


_DENIED: Final = re.compile(r"(?:\S+: )?Permission denied \(([a-z0-9@.,-]*)\)\.")
_CHANGED: Final = re.compile(
    r"@\s+WARNING: (?:REMOTE HOST IDENTIFICATION HAS CHANGED!|POSSIBLE DNS SPOOFING DETECTED!)\s+@"
)
_REVOKED: Final = re.compile(
    r"@\s+WARNING: REVOKED HOST KEY DETECTED!\s+@|.*host key .* (?:is|was) (?:marked as )?revoked.*"
)
_NAMED: Final = re.compile(
    r"No \S+ host key is known for .*|Host key for .* has changed .*|.* host key for .* was revoked .*"
)
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]+\.?")
_EXPIRED: Final = re.compile(r"Password change required but no TTY available\.")
_NO_ANSWER: Final = re.compile(r"(?:kex_exchange_identification|banner exchange|ssh_exchange_identification): .*")
_THROUGH_A_PIPE: Final = "UNKNOWN port 65535"

_Read = Callable[[Attempt, re.Match[str], Sequence[str]], Problem]
_DECISIVE: Final[Sequence[tuple[re.Pattern[str], _Read]]] = (
    (_DENIED, _denied),
    (re.compile(r"(?:Received disconnect from|Disconnecting) .*: Too many authentication failures"), _disconnected),
    (re.compile(r"Received disconnect from .*"), _unreachable),
    (re.compile(r"Host key verification failed\."), _key_refused),
    (re.compile(r"ssh: Could not resolve hostname .*"), _unreachable),
    (re.compile(r"(?:hostname|remote username) contains invalid characters"), _unreachable),  # no name to ssh itself
    (re.compile(r"ssh: connect to (?:host|address) .*"), _unreachable),
    (re.compile(r"Unable to negotiate with .*"), _unreachable),
    (_NO_ANSWER, _closed),
    (re.compile(r"ssh_dispatch_run_fatal: .*"), _closed),
    (re.compile(r"Connection (?:closed|reset|timed out) .*|Connection to .* closed by remote host\."), _closed),
    (re.compile(r"Timeout, server .* not responding\."), _unreachable),
)
