"""The interfaces that every object has (D-Bus Specification, "Standard Interfaces")."""

from typing import Final, Protocol

from .errors import FAILED, PROPERTY_READ_ONLY, BusError
from .interface import Interface, method, signal
from .introspect import to_xml
from .meta import INTROSPECTABLE, PEER, PROPERTIES
from .signature import Variant

_MACHINE_ID: Final = "/etc/machine-id"


class Place(Protocol):
    """What these need of a node."""

    path: str
    below: list[str]

    @property
    def interfaces(self) -> list[Interface]: ...

    def property(self, interface: str, name: str) -> Variant: ...

    def properties(self, interface: str) -> dict[str, Variant]: ...


class Properties:
    """`org.freedesktop.DBus.Properties` of one node. The bus itself sends its signal (bus.py)."""

    interface = PROPERTIES
    signals = (
        signal(
            "PropertiesChanged",
            "s interface_name, a{sv} changed_properties, as invalidated_properties",
        ),
    )

    def __init__(self, place: Place) -> None:
        self._place = place

    @method("Get", "s interface_name, s property_name", "v value")
    def get(self, interface: str, name: str) -> Variant:
        return self._place.property(interface, name)

    @method("GetAll", "s interface_name", "a{sv} properties")
    def get_all(self, interface: str) -> dict[str, Variant]:
        return self._place.properties(interface)

    @method("Set", "s interface_name, s property_name, v value")
    def set(self, interface: str, name: str, value: Variant) -> None:
        self._place.property(interface, name)
        raise BusError(PROPERTY_READ_ONLY, f"{self._place.path}: property {name} of {interface} cannot be set")


class Introspectable:
    """`org.freedesktop.DBus.Introspectable` of one node."""

    interface = INTROSPECTABLE

    def __init__(self, place: Place) -> None:
        self._place = place

    @method("Introspect", "", "s xml_data")
    def introspect(self) -> str:
        return to_xml(self._place.interfaces, self._place.below)


class Peer:
    """`org.freedesktop.DBus.Peer`."""

    interface = PEER

    @method("Ping")
    def ping(self) -> None:
        """Answered, that is all."""

    @method("GetMachineId", "", "s machine_uuid")
    def get_machine_id(self) -> str:
        try:
            with open(_MACHINE_ID, encoding="utf-8") as file:
                return file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BusError(FAILED, f"{_MACHINE_ID}: {error}") from None
