"""What pages send to a bus, checked: what is wrong with it is a Problem, or a BusError, that names the place."""

from typing import Any

import msgspec

from spanbridge.manifests.member import MemberError, describe, spell

from .channel import Message, unclear
from .errors import INVALID_ARGS, BusError
from .matches import Match, Watch
from .names import is_interface
from .signature import SignatureError, is_path, types_of
from .values import many_from_json


def convert(kind: str, asked: Any, into: type[Any], expected: str = "") -> Any:
    """What was asked, of the right type. Raises Problem."""
    try:
        return msgspec.convert(asked, into)
    except msgspec.ValidationError as error:
        raise unclear(f"{kind}: {f'expected {expected}: ' if expected else ''}{error}") from None


def signature_of(kind: str, message: Message) -> str | None:
    """The `type` of a message, None if it has none. Raises Problem."""
    signature = message.get("type")
    if signature is None:
        return None
    try:
        if isinstance(signature, str):
            types_of(signature)
            return signature
    except SignatureError as error:
        raise unclear(f'"type" of {kind}: {error}') from None
    raise unclear(f'"type" of {kind}: expected a signature, found {describe(signature)}')


def values_from_json(signature: str, arguments: Any) -> list[Any]:
    """Values of these types, as marshal.py takes them. Raises BusError, which names the place."""
    try:
        return many_from_json(types_of(signature), arguments)
    except MemberError as error:
        where = f"{spell(error.path)}: " if error.path else ""
        raise BusError(INVALID_ARGS, f"{where}{error.message}") from None


def check_path(kind: str, path: str) -> None:
    """Raises Problem."""
    if not is_path(path):
        raise unclear(f"{kind}: expected an object path, found {describe(path)}")


def check_interface(kind: str, interface: str) -> None:
    """Raises Problem."""
    if not is_interface(interface):
        raise unclear(f"{kind}: expected the name of an interface, found {describe(interface)}")


def check_where(kind: str, asked: Match | Watch) -> None:
    """What a match and a watch have in common: the path, or what it is below, and the interface. Raises Problem."""
    if asked.path is not None and asked.path_namespace is not None:
        raise unclear(f"{kind}: expected path or path_namespace, found both")
    for path in (asked.path, asked.path_namespace):
        if path is not None:
            check_path(kind, path)
    if asked.interface is not None:
        check_interface(kind, asked.interface)
