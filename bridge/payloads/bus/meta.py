"""What is known of interfaces: the types of their members, as front ends are told of them and may tell."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from .names import is_interface, is_member
from .signature import SignatureError, type_of

STANDARD: Final = "org.freedesktop.DBus."
"""How the names of interfaces begin that any object has: nobody is told of them unasked."""
INTROSPECTABLE: Final = STANDARD + "Introspectable"
OBJECT_MANAGER: Final = STANDARD + "ObjectManager"
PEER: Final = STANDARD + "Peer"
PROPERTIES: Final = STANDARD + "Properties"


class Method(msgspec.Struct, frozen=True):
    """Signatures of single types, one for each argument."""

    takes: list[str] = msgspec.field(name="in", default_factory=list)
    gives: list[str] = msgspec.field(name="out", default_factory=list)


class Property(msgspec.Struct, frozen=True):
    """`flags`: of `r` and `w`, what can be done with it."""

    flags: str = "r"
    type: str = "v"

    @property
    def readable(self) -> bool:
        return "r" in self.flags


class Signal(msgspec.Struct, frozen=True):
    takes: list[str] = msgspec.field(name="in", default_factory=list)


class Meta(msgspec.Struct, frozen=True):
    """One interface, its members by name."""

    methods: dict[str, Method] = {}
    properties: dict[str, Property] = {}
    signals: dict[str, Signal] = {}

    @property
    def readable(self) -> bool:
        """Whether it has a property with a value to be told."""
        return any(each.readable for each in self.properties.values())


class Metas:
    """Interfaces by name, as far as there is room: `most` bytes of JSON."""

    def __init__(self, most: int) -> None:
        self.known: dict[str, Meta] = {}
        self._most = most
        self._sizes: dict[str, int] = {}
        self._size = 0

    def add(self, interface: str, meta: Meta) -> bool:
        """Keep this one, in the place of one of the same name; False: there is no room for it."""
        size = len(interface) + len(msgspec.json.encode(meta))
        more = size - self._sizes.get(interface, 0)
        if self._size + more > self._most:
            return False
        self._size += more
        self._sizes[interface] = size
        self.known[interface] = meta
        return True


class MetaError(ValueError):
    """What a front end says of interfaces is not what it should be."""


def read(told: Any) -> dict[str, Meta]:
    """What a front end says of interfaces. Raises MetaError."""
    try:
        found = msgspec.convert(told, dict[str, Meta])
    except msgspec.ValidationError as error:
        raise MetaError(str(error)) from None
    for name, interface in found.items():
        if not is_interface(name):
            raise MetaError(f"{name[:60]!r} is no name of an interface")
        _check(name, interface)
    return found


def _check(name: str, interface: Meta) -> None:
    for member in (*interface.methods, *interface.signals):
        if not is_member(member):
            raise MetaError(f"{name}: {member[:60]!r} is no name of a member")
    for signature in signatures(interface):
        try:
            type_of(signature)
        except SignatureError as error:
            raise MetaError(f"{name}: {error}") from None


def signatures(interface: Meta) -> Iterable[str]:
    """All that it has."""
    for method in interface.methods.values():
        yield from method.takes
        yield from method.gives
    for each in interface.properties.values():
        yield each.type
    for signal in interface.signals.values():
        yield from signal.takes
