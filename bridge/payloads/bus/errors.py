"""What a call on the bus fails with."""

from typing import Final

_STANDARD: Final = "org.freedesktop.DBus.Error."

FAILED: Final = _STANDARD + "Failed"
ACCESS_DENIED: Final = _STANDARD + "AccessDenied"
INVALID_ARGS: Final = _STANDARD + "InvalidArgs"
LIMITS_EXCEEDED: Final = _STANDARD + "LimitsExceeded"
OBJECT_PATH_IN_USE: Final = _STANDARD + "ObjectPathInUse"
DISCONNECTED: Final = _STANDARD + "Disconnected"
PROPERTY_READ_ONLY: Final = _STANDARD + "PropertyReadOnly"
TIMED_OUT: Final = _STANDARD + "Timeout"
UNKNOWN_INTERFACE: Final = _STANDARD + "UnknownInterface"
UNKNOWN_METHOD: Final = _STANDARD + "UnknownMethod"
UNKNOWN_OBJECT: Final = _STANDARD + "UnknownObject"
UNKNOWN_PROPERTY: Final = _STANDARD + "UnknownProperty"


class BusError(Exception):
    """The error that the caller gets: a dotted `name` for programs, a `message` for people."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
