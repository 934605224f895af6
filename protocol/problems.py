"""Problem codes: why a channel, or a whole transport, ended (docs/protocol.md, "Problem codes")."""

from typing import Final

ACCESS_DENIED: Final = "access-denied"
AUTHENTICATION_FAILED: Final = "authentication-failed"
CHANGE_CONFLICT: Final = "change-conflict"
INTERNAL_ERROR: Final = "internal-error"
INVALID_HOSTKEY: Final = "invalid-hostkey"
NO_COCKPIT: Final = "no-cockpit"
NO_HOST: Final = "no-host"
NOT_FOUND: Final = "not-found"
NOT_SUPPORTED: Final = "not-supported"
PROTOCOL_ERROR: Final = "protocol-error"
TERMINATED: Final = "terminated"
TIMEOUT: Final = "timeout"
DISCONNECTED: Final = "disconnected"
TOO_LARGE: Final = "too-large"
UNKNOWN_HOST: Final = "unknown-host"
UNKNOWN_HOSTKEY: Final = "unknown-hostkey"  # of a host on a private channel, or of a server's certificate


class Problem(Exception):
    """What ends a channel or a transport: a `code` for programs and a `message` for people.

    `members` are further members of the `close` or `init` that tells of it.
    """

    def __init__(self, code: str, message: str, /, **members: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = members


def shown(value: object, most: int = 80) -> str:
    """A value that came from the other side, as a message calls it: the beginning of a text, else its kind alone. An
    object or a list may hold a password."""
    if not isinstance(value, str):
        kinds = {type(None): "null", bool: "true or false", dict: "an object", list: "a list"}
        return kinds.get(type(value), "a number")
    return repr(value) if len(value) <= most else f"{value[:most]!r}..."
