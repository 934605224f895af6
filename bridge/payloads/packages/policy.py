"""Content-Security-Policy of a page, and the origin that it is loaded from (docs/packages.md, "Headers")."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MEMBER: Final = "content-security-policy"

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_WEBSOCKET: Final = {"http": "ws", "https": "wss"}
_PRINTABLE: Final = re.compile(r"[\t\x20-\x7e]*")


class Origin(NamedTuple):
    """Where the browser has a page from."""

    scheme: str
    host: str
    """With its port, if that is not the usual one."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def websocket(self) -> str:
        """The same for a websocket."""
        return f"{_WEBSOCKET[self.scheme]}://{self.host}"


def read_origin(headers: Mapping[str, str]) -> Origin | None:
    """The origin that X-Forwarded-Proto and X-Forwarded-Host tell of; names of headers in lower case.

    None without both, or where they are no scheme and host: they end up in a policy, where a `;` would begin another
    directive.
    """
    scheme, host = headers.get("x-forwarded-proto", ""), headers.get("x-forwarded-host", "")
    return Origin(scheme, host) if scheme in _WEBSOCKET and _HOST.fullmatch(host) else None


def security_policy(wanted: str, origin: Origin | None) -> str:
    """`wanted`, a policy that may be empty, preceded by the directives that it has to have and has not."""
    own = [directive for part in wanted.split(";") if (directive := " ".join(part.split()))]
    named = {directive.partition(" ")[0].lower() for directive in own}
    return "; ".join([*(text for name, text in _needed(origin).items() if name not in named), *own])


def policy_of(manifest: Mapping[str, Any]) -> str:
    """The policy that a manifest asks for, empty if it asks for none. Raises ValueError for what cannot be a header."""
    policy = manifest.get(MEMBER, "")
    if not isinstance(policy, str) or not _PRINTABLE.fullmatch(policy):
        raise ValueError(f'"{MEMBER}" of the manifest: expected printable ASCII text, found {str(policy)[:80]!r}')
    return policy


def _needed(origin: Origin | None) -> dict[str, str]:
    # Not every browser takes 'self' for the websocket of the same host.
    websocket = f" {origin.websocket}" if origin else ""
    return {
        "default-src": "default-src 'self'",
        "connect-src": f"connect-src 'self'{websocket}",
        "form-action": "form-action 'self'",
        "base-uri": "base-uri 'self'",
        "object-src": "object-src 'none'",
        "font-src": "font-src 'self' data:",
        "img-src": "img-src 'self' data:",
        "block-all-mixed-content": "block-all-mixed-content",
    }
