"""Interfaces described: as XML (D-Bus Specification, "Introspection Data Format"), and as `meta` of the JSON form."""

from collections.abc import Iterable
from typing import Any, Final

from .interface import Argument, Interface

_HEAD: Final = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def to_xml(interfaces: Iterable[Interface], children: Iterable[str]) -> str:
    """A node's interfaces and the names of those right below it."""
    lines = ["<node>"]
    for interface in interfaces:
        lines.append(f' <interface name="{interface.name}">')
        for method in interface.methods.values():
            arguments = [*_arguments(method.takes, "in"), *_arguments(method.gives, "out")]
            lines += _element("method", method.name, arguments)
        for name, each in interface.properties.items():
            lines.append(f'  <property name="{name}" type="{each.type.text}" access="read"/>')
        for signal in interface.signals.values():
            lines += _element("signal", signal.name, _arguments(signal.arguments, ""))
        lines.append(" </interface>")
    lines += [f' <node name="{child}"/>' for child in children]
    return _HEAD + "\n".join([*lines, "</node>", ""])


def _element(kind: str, name: str, inner: list[str]) -> list[str]:
    if not inner:
        return [f'  <{kind} name="{name}"/>']
    return [f'  <{kind} name="{name}">', *inner, f"  </{kind}>"]


def _arguments(arguments: Iterable[Argument], direction: str) -> list[str]:
    told = f' direction="{direction}"' if direction else ""
    return [f'   <arg name="{each.name}" type="{each.type.text}"{told}/>' for each in arguments]


def to_meta(interface: Interface) -> dict[str, Any]:
    """What the front end is told of an interface before it is told of its properties."""
    return {
        "methods": {
            name: {"in": _signatures(each.takes), "out": _signatures(each.gives)}
            for name, each in interface.methods.items()
        },
        "properties": {name: {"flags": "r", "type": each.type.text} for name, each in interface.properties.items()},
        "signals": {name: {"in": _signatures(each.arguments)} for name, each in interface.signals.items()},
    }


def _signatures(arguments: Iterable[Argument]) -> list[str]:
    return [each.type.text for each in arguments]
