"""One place in the tree of objects."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import UNKNOWN_INTERFACE, UNKNOWN_METHOD, UNKNOWN_PROPERTY, BusError
from .interface import Interface, Method, interface_of
from .signature import Variant
from .standard import Introspectable, Peer, Properties
from .values import to_json


class Offer(NamedTuple):
    """An interface and the object that serves it."""

    interface: Interface
    server: Any


class Node:
    """What can be called at `path`: the object there, if there is one, and the standard interfaces.

    `below`: the names of the nodes right below it.
    """

    def __init__(self, path: str, own: Offer | None, below: list[str]) -> None:
        self.path = path
        self.own = own
        self.below = below
        standard = [Offer(interface_of(type(each)), each) for each in (Properties(self), Introspectable(self), Peer())]
        self._offers = {offer.interface.name: offer for offer in [*filter(None, [own]), *standard]}

    @property
    def interfaces(self) -> list[Interface]:
        """All that can be called here."""
        return [offer.interface for offer in self._offers.values()]

    def method(self, interface: str, name: str) -> tuple[Method, Any]:
        """A method, and the object that it is called on. Raises BusError."""
        offer = self._offer(interface)
        if name not in offer.interface.methods:
            raise BusError(UNKNOWN_METHOD, f"{self.path}: {interface} has no method {name}")
        return offer.interface.methods[name], offer.server

    def property(self, interface: str, name: str) -> Variant:
        """A property as it is now. Raises BusError."""
        offer = self._offer(interface)
        if name not in offer.interface.properties:
            raise BusError(UNKNOWN_PROPERTY, f"{self.path}: {interface} has no property {name}")
        found = offer.interface.properties[name]
        return Variant(found.type.text, found.read(offer.server))

    def properties(self, interface: str) -> dict[str, Variant]:
        """All properties of an interface as they are now. Raises BusError."""
        return {name: self.property(interface, name) for name in self._offer(interface).interface.properties}

    def _offer(self, interface: str) -> Offer:
        if interface not in self._offers:
            raise BusError(UNKNOWN_INTERFACE, f"{self.path} has no interface {interface}")
        return self._offers[interface]


def bare(interface: Interface, properties: Mapping[str, Variant]) -> dict[str, Any]:
    """Properties as JSON without their signatures, as a `notify` tells them."""
    return {name: to_json(interface.properties[name].type, each.value) for name, each in properties.items()}
