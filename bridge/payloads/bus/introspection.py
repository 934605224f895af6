"""What objects say of themselves: XML of strangers (D-Bus Specification, "Introspection Data Format").

Nothing is loaded, no entity is expanded, and what cannot be understood is left out: an interface, or a member of it,
with a name or a type that is none.
"""

from collections.abc import Generator
from functools import cache
from typing import Final, NamedTuple

from .meta import Meta, Method, Property, Signal
from .names import is_interface, is_member
from .signature import SignatureError, is_path, type_of
from .turns import Turn

XML_BYTES: Final = 4 << 20
"""Longest description that is read."""
DEEPEST: Final = 64
"""Elements within one another."""
_PIECE_BYTES: Final = 16 << 10
_REMEMBERED: Final = 512 << 10
"""Characters of descriptions that are remembered."""

_FLAGS: Final = {"read": "r", "write": "w", "readwrite": "rw"}


class Unreadable(ValueError):
    """A description that is none; the text says why."""


class Node(NamedTuple):
    """What an object says: its interfaces, and the names of those right below it. `faults`: what was left out."""

    interfaces: dict[str, Meta]
    children: list[str]
    faults: list[str]


Parsing = Generator[None, None, Node]
"""Yields after each piece."""


class _Memory:
    """The last descriptions that were read: many objects of a service have the same."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._size = 0

    def parse(self, xml: str) -> Parsing:
        node = self._nodes.get(xml)
        if node is None:
            node = yield from _Parser().parse(xml.encode())
            if self._size > _REMEMBERED:
                self._nodes.clear()
                self._size = 0
            self._nodes[xml] = node
            self._size += len(xml)
        return node


@cache
def _memory() -> _Memory:
    return _Memory()


async def parse(xml: str, turn: Turn) -> Node:
    """Read a description. Raises Unreadable."""
    if len(xml) > XML_BYTES:
        raise Unreadable(f"{len(xml)} characters, at most {XML_BYTES} are read")
    parsing = _memory().parse(xml)
    while True:
        try:
            next(parsing)
        except StopIteration as end:
            node: Node = end.value
            return node
        await turn.pause()


class _Parser:
    """Reads one description, element by element."""

    def __init__(self) -> None:
        self._node = Node({}, [], [])
        self._open: list[str] = []  # the elements that we are in
        self._interface: str | None = None
        self._members: tuple[dict[str, Method], dict[str, Property], dict[str, Signal]] = ({}, {}, {})
        self._member: str | None = None  # a method or signal
        self._takes: list[str] = []
        self._gives: list[str] = []

    def parse(self, data: bytes) -> Parsing:
        from xml.parsers import expat  # a library that is not needed before

        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        try:
            for begin in range(0, len(data), _PIECE_BYTES):
                parser.Parse(data[begin : begin + _PIECE_BYTES], False)
                yield
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Unreadable(f"no XML: {error}") from None
        return self._node

    def _entity(self, *_: object) -> None:
        raise Unreadable("it declares entities")

    def _begin(self, element: str, attributes: dict[str, str]) -> None:
        within = self._open
        if len(within) >= DEEPEST:
            raise Unreadable(f"elements nested deeper than {DEEPEST}")
        match [*within, element]:
            case ["node", "node"]:
                self._child(attributes.get("name", ""))
            case ["node", "interface"]:
                self._interface = attributes.get("name", "")
                self._members = ({}, {}, {})
            case ["node", "interface", "method" | "signal"]:
                self._member = attributes.get("name", "")
                self._takes, self._gives = [], []
            case ["node", "interface", "property"]:
                self._property(attributes)
            case ["node", "interface", "method", "arg"]:
                gives = attributes.get("direction", "in") == "out"
                (self._gives if gives else self._takes).append(attributes.get("type", ""))
            case ["node", "interface", "signal", "arg"]:
                self._takes.append(attributes.get("type", ""))
        within.append(element)

    def _end(self, element: str) -> None:
        within = self._open
        within.pop()
        match [*within, element]:
            case ["node", "interface"]:
                self._keep_interface()
            case ["node", "interface", "method" | "signal"]:
                self._keep_member(element)

    def _child(self, name: str) -> None:
        if is_path(f"/{name}") and name:
            self._node.children.append(name)
        else:
            self._fault(f"node {name[:60]!r}")

    def _keep_interface(self) -> None:
        name = self._interface or ""
        if is_interface(name):
            self._node.interfaces[name] = Meta(*self._members)
        else:
            self._fault(f"interface {name[:60]!r}")

    def _keep_member(self, element: str) -> None:
        name = self._member or ""
        if not is_member(name) or not _are_types([*self._takes, *self._gives]):
            self._fault(f"{element} {name[:60]!r} of {(self._interface or '')[:60]!r}")
        elif element == "method":
            self._members[0][name] = Method(self._takes, self._gives)
        else:
            self._members[2][name] = Signal(self._takes)

    def _property(self, attributes: dict[str, str]) -> None:
        name, flags = attributes.get("name", ""), _FLAGS.get(attributes.get("access", ""))
        if not name or flags is None or not _are_types([attributes.get("type", "")]):
            self._fault(f"property {name[:60]!r} of {(self._interface or '')[:60]!r}")
        else:
            self._members[1][name] = Property(flags, attributes["type"])

    def _fault(self, what: str) -> None:
        self._node.faults.append(what)


def _are_types(signatures: list[str]) -> bool:
    try:
        for signature in signatures:
            type_of(signature)
    except SignatureError:
        return False
    return True
