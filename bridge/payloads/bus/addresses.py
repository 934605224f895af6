"""Where a bus is: D-Bus addresses (D-Bus Specification, "Server Addresses") and the well-known ones."""

import os
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from spanbridge.protocol.problems import NOT_FOUND, NOT_SUPPORTED, PROTOCOL_ERROR, Problem

_SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class Address(NamedTuple):
    """A unix socket: its path, which begins with NUL for an abstract one (lone surrogates stand for bytes that are
    not UTF-8), and the id that whoever listens there must have, if it is known."""

    socket: str
    guid: str | None


def address_of(bus: str, environ: Mapping[str, str]) -> str:
    """The address of the `system` or the `session` bus. Raises Problem: nothing says where it is, and none is
    started."""
    if bus == "system":
        return environ.get("DBUS_SYSTEM_BUS_ADDRESS") or _SYSTEM_BUS
    given = environ.get("DBUS_SESSION_BUS_ADDRESS")
    if given:
        return given
    directory = environ.get("XDG_RUNTIME_DIR")
    if not directory:
        raise Problem(NOT_FOUND, "the session bus: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")
    return f"unix:path={escape(os.path.join(directory, 'bus'))}"


def escape(path: str) -> str:
    """A path as an address has it."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-_/.\\*") else f"%{byte:02x}"
        for byte in os.fsencode(path)
    )


def parse(text: str, environ: Mapping[str, str]) -> list[Address]:
    """The addresses to be tried, in order. Raises Problem: `protocol-error` for what is none, `not-supported` if all
    are of other kinds than `unix`."""
    found, kinds = [], []
    for each in filter(None, text.split(";")):
        kind, colon, rest = each.partition(":")
        if not colon or not kind:
            raise _wrong(f"found no kind in {each[:60]!r}")
        members = _members(rest)
        kinds.append(kind)
        if kind == "unix":
            found.append(_unix(members, environ))
    if not kinds:
        raise _wrong("found an empty one")
    if not found:
        raise Problem(NOT_SUPPORTED, f'"address" of dbus-json3: expected unix:, found {kinds[0][:20]}:')
    return found


def _members(text: str) -> dict[str, str]:
    members: dict[str, str] = {}
    for each in filter(None, text.split(",")):
        key, equals, value = each.partition("=")
        if not equals or not key or key in members:
            raise _wrong(f"found {each[:60]!r}")
        members[key] = _unescape(value)
    return members


def _unescape(text: str) -> str:
    for escaped in text.split("%")[1:]:
        if len(escaped) < 2 or not _HEX.issuperset(escaped[:2]):
            raise _wrong(f"found %{escaped[:2]}")
    value = os.fsdecode(unquote_to_bytes(os.fsencode(text)))
    if "\0" in value:
        raise _wrong("found a NUL")
    return value


def _unix(members: dict[str, str], environ: Mapping[str, str]) -> Address:
    guid = members.get("guid")
    places = [key for key in ("path", "abstract", "runtime") if key in members]
    if len(places) != 1:
        raise _wrong("found none, or several, of path, abstract and runtime in unix:")
    (place,) = places
    value = members[place]
    if place == "runtime":
        directory = environ.get("XDG_RUNTIME_DIR")
        if value != "yes":
            raise _wrong("found something else than yes in runtime=")
        if not directory:
            raise Problem(NOT_FOUND, "unix:runtime=yes: XDG_RUNTIME_DIR is not set")
        return Address(os.path.join(directory, "bus"), guid)
    if not value:
        raise _wrong(f"found nothing in {place}=")
    return Address(value if place == "path" else "\0" + value, guid)


def _wrong(found: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f'"address" of dbus-json3: expected a D-Bus address, {found}')
