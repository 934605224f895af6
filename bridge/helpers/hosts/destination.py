"""The name of another host, as an open has it: `[user@]name[:port]` (docs/hosts.md, "Names")."""

import unicodedata
from typing import Final, NamedTuple

from spanbridge.protocol.problems import NO_HOST, Problem

_LONGEST: Final = 255  # bytes of a user or name
_FORBIDDEN: Final = frozenset("'\"`$;&<>|(){}")  # no shell of ours sees them; the one of a ProxyCommand does
_SHOWN: Final = 80  # characters of a name in a message


class Destination(NamedTuple):
    """Whom ssh is to connect to. `user` and `port` are None where ssh's configuration is to say."""

    user: str | None
    name: str
    port: int | None

    @property
    def text(self) -> str:
        """As people write it."""
        name = f"[{self.name}]" if ":" in self.name and self.port is not None else self.name
        port = "" if self.port is None else f":{self.port}"
        return f"{'' if self.user is None else f'{self.user}@'}{name}{port}"


def parse(host: str, user: str | None = None) -> Destination:
    """Take a `host` apart. `user`, if given, wins over the one in it.

    Raises Problem (`no-host`) that says what is wrong, for whatever ssh, or a shell that its configuration names, might
    take for something else than a name.
    """
    before, at, rest = host.rpartition("@")
    name, port = _split_port(rest, host)
    named = before if at else None
    if named is not None:
        _check("user", named, host)
    if user is not None:
        _check("user", user, host)
    _check("name", name, host)
    if "\\" in name:
        raise _bad(host, "a backslash in the name")
    if "%" in name and not _is_v6(name):
        raise _bad(host, "a percent sign in a name that is no IPv6 address")
    for each in (named, user):
        if each is not None and each.endswith("\\"):
            raise _bad(host, "a backslash at the end of the user")
    return Destination(named if user is None else user, name, port)


def _split_port(text: str, host: str) -> tuple[str, int | None]:
    if text.startswith("["):
        name, bracket, after = text[1:].partition("]")
        if not bracket or not _is_v6(name) or (after and not after.startswith(":")):
            raise _bad(host, "brackets around what is no IPv6 address")
        return name, _port(after[1:], host) if after else None
    if text.count(":") >= 2:
        if not _is_v6(text):
            raise _bad(host, "several colons in what is no IPv6 address")
        return text, None
    name, colon, port = text.partition(":")
    return name, _port(port, host) if colon else None


def _port(text: str, host: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        raise _bad(host, f"port {text[:_SHOWN]!r}, expected 1 to 65535")
    return int(text)


def _is_v6(text: str) -> bool:
    import ipaddress  # most names are none

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _check(what: str, text: str, host: str) -> None:
    if not text:
        raise _bad(host, f"an empty {what}")
    if text.startswith("-"):
        raise _bad(host, f"a {what} that begins with a dash")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _bad(host, f"a {what} that is no text") from None
    if size > _LONGEST:
        raise _bad(host, f"a {what} of {size} bytes, above {_LONGEST}")
    for character in text:
        if character.isspace() or unicodedata.category(character) == "Cc" or character in _FORBIDDEN:
            raise _bad(host, f"{character!r} in the {what}")


def _bad(host: str, why: str) -> Problem:
    return Problem(NO_HOST, f"host {host[:_SHOWN]!r}: {why}")
