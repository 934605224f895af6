"""Passwords and their like, taken out of what is recorded or shown (docs/tools.md, "Passwords")."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

REDACTED: Final = "<redacted>"
CHANNELS: Final = 100_000  # open D-Bus channels remembered; beyond that the payloads of all others are left out

_AUTHORIZE_SHOWN: Final = frozenset({"command", "cookie", "channel", "host", "prompt", "challenge"})
_HEAD: Final = frozenset({"command", "channel"})
_SECRET: Final = frozenset(
    {
        "authorization",
        "cookie2",
        "passphrase",
        "passwd",
        "password",
        "proxy-authorization",
        "response",
        "secret",
        "set-cookie",
        "token",
        "x-csrf-token",
    }
)
_SECRET_HEADERS: Final = _SECRET | {"cookie"}  # the `cookie` of an `authorize` or a `ping` is only a number
_HINTS: Final = (b"authoriz", b"answer", b"cookie", b"passphrase", b"passw", b"response", b"secret", b"token")
_BUS: Final = "dbus-json3"


def redact(message: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A control message without its secrets, and the names of the members that were replaced.

    The `message` itself is given back where there is nothing to replace.
    """
    names: list[str] = []
    if message.get("command") == "authorize":
        shown = {name: _of_authorize(name, value, names) for name, value in message.items()}
    else:
        try:
            shown = _members(message, _SECRET, names)
        except RecursionError:  # nested too deeply to be looked through
            names = [name for name in message if name not in _HEAD]
            shown = {**message, **dict.fromkeys(names, REDACTED)}
    return (shown, names) if names else (message, names)


def _of_authorize(name: str, value: Any, names: list[str]) -> Any:
    if name not in _AUTHORIZE_SHOWN:
        return _replaced(name, value, names)
    if name != "challenge":
        return value
    scheme, colon, told = value.partition(":") if isinstance(value, str) else ("", "", value)
    if not told:
        return value
    names.append(name)
    return f"{scheme}{colon}{REDACTED}" if colon else REDACTED


def _members(message: dict[str, Any], secret: frozenset[str], names: list[str]) -> dict[str, Any]:
    return {
        name: _replaced(name, value, names)
        if name.lower() in secret
        else _inside(value, _SECRET_HEADERS if name.lower() == "headers" else secret, names)
        for name, value in message.items()
    }


def _inside(value: Any, secret: frozenset[str], names: list[str]) -> Any:
    if isinstance(value, dict):
        return _members(value, secret, names)
    if isinstance(value, list):
        return [_inside(each, secret, names) for each in value]
    return value


def _replaced(name: str, value: Any, names: list[str]) -> Any:
    if value is None or value == "" or isinstance(value, bool):  # an empty response refuses, and tells nothing
        return value
    names.append(name)
    return REDACTED


def may_tell(data: bytes) -> bool:
    """Whether bytes that cannot be read as a message look as if there were a secret in them."""
    small = data.lower()
    return any(hint in small for hint in _HINTS)


class Buses:
    """Which channels are D-Bus channels: what answers a question of a privileged helper is a call on one.

    (docs/superuser.md, "Later": `Answer` of `cockpit.Superuser`.)
    """

    __slots__ = ("_channels", "_full")

    def __init__(self) -> None:
        self._channels: set[str] = set()
        self._full = False

    def heed(self, message: dict[str, Any]) -> None:
        """Take notice of a control message that went by."""
        channel = message.get("channel")
        if not isinstance(channel, str):
            return
        _heeded.get(str(message.get("command")), _ignore)(self, channel, message)

    def opened(self, channel: str, message: dict[str, Any]) -> None:
        if message.get("payload") == _BUS:
            self._full = self._full or len(self._channels) >= CHANNELS
            if not self._full:
                self._channels.add(channel)

    def closed(self, channel: str, message: dict[str, Any]) -> None:
        self._channels.discard(channel)

    def redact(self, channel: str, payload: bytes, whole: bool) -> tuple[bytes | None, bool]:
        """What may be told of a payload, None for nothing; and whether something was replaced.

        `whole`: `payload` is all of it, not just its beginning.
        """
        if channel not in self._channels:
            return (None, True) if self._full else (payload, False)
        if not whole:
            return (None, True)
        try:
            call = msgspec.json.decode(payload, type=_Call).call
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return (None, True) if may_tell(payload) else (payload, False)
        if not isinstance(call, list) or len(call) < 4 or call[2] != "Answer" or not call[3]:
            return payload, False
        try:
            members = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # beside the call, which was looked at alone
            return (None, True)
        members["call"][3:] = [REDACTED]
        return msgspec.json.encode(members), True


class _Call(msgspec.Struct, gc=False):
    call: Any = None


def _ignore(buses: Buses, channel: str, message: dict[str, Any]) -> None:
    """A command that says nothing of what a channel is."""


_heeded: Final[dict[str, Callable[[Buses, str, dict[str, Any]], None]]] = {"open": Buses.opened, "close": Buses.closed}
