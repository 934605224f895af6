"""What an open of `dbus-json3` asks for."""

from typing import Final, NamedTuple

from spanbridge.protocol.problems import NOT_FOUND, PROTOCOL_ERROR, Problem

from ..served.options import Options
from .addresses import parse
from .names import is_bus_name

INTERNAL: Final = "internal"
_BUSES: Final = ("internal", "none", "session", "system", "user")


class Opened(NamedTuple):
    """`bus`: `internal`, `system`, `session`, or `none` where an address says which. `name`: the peer that is meant
    where none is named."""

    bus: str
    address: str | None
    name: str | None
    group: str | None


def read(options: Options) -> Opened:
    """Raises Problem: `protocol-error`, and `not-supported` for an address."""
    bus = options.choice("bus", None, *_BUSES)
    address = options.system("address", None)
    name = options.text("name", None)
    group = options.text("group", None)
    if address is not None and bus not in (None, "none", INTERNAL):
        raise options.wrong("address", f"none with the {bus} bus")
    if bus == INTERNAL or address == INTERNAL or (bus == "none" and address is None):
        if name is not None:
            raise options.wrong("name", "none on the internal bus")
        if address not in (None, INTERNAL):
            raise options.wrong("address", "none with the internal bus")
        return Opened(INTERNAL, None, None, group)
    if name is not None and not is_bus_name(name):
        raise Problem(PROTOCOL_ERROR, f'"name" of dbus-json3: expected the name of a peer, found {name[:60]!r}')
    if address is not None:
        _check(address)
        return Opened("none", address, name, group)
    return Opened("session" if bus == "user" else bus or "system", None, name, group)


def _check(address: str) -> None:
    try:
        parse(address, {})
    except Problem as problem:
        if problem.code != NOT_FOUND:  # that is for later: it depends on the environment
            raise
