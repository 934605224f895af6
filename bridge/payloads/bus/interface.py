"""How a class says what it offers on the bus.

    class Clock:
        interface = "example.Clock"
        signals = (signal("Rang", "s name"),)

        def __init__(self, services: Services, outlet: Outlet) -> None: ...

        @readable("Zone", "s")
        def zone(self) -> str: ...

        @method("SetAlarm", "s name, u seconds", "b replaced")
        async def set_alarm(self, name: str, seconds: int) -> bool: ...

The types are D-Bus signatures, the values Python's (values.py). A method without results returns None, one with several
a tuple. It may be `async`: others are served while it waits. What goes wrong is raised as BusError.
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Final, NamedTuple, TypeVar

from .signature import Type, type_of

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK: Final = "_on_the_bus"


class Argument(NamedTuple):
    """One argument or result."""

    name: str
    type: Type


class Method(NamedTuple):
    """`function` is the unbound one of the class; `waits`: the answer takes time; `begins`: see `method`."""

    name: str
    takes: tuple[Argument, ...]
    gives: tuple[Argument, ...]
    function: Callable[..., Any]
    waits: bool
    begins: bool = False


class Property(NamedTuple):
    """`read` is the unbound function of the class that gives the value."""

    name: str
    type: Type
    read: Callable[[Any], Any]


class Signal(NamedTuple):
    name: str
    arguments: tuple[Argument, ...]


class Interface(NamedTuple):
    """All that a class offers, by name."""

    name: str
    methods: Mapping[str, Method]
    properties: Mapping[str, Property]
    signals: Mapping[str, Signal]


def method(name: str, takes: str = "", gives: str = "", *, begins: bool = False) -> Callable[[Function], Function]:
    """Offer a method. `takes` and `gives`: "TYPE NAME, TYPE NAME". `begins`: what the call is for has begun when the
    function returns, before any later call is looked at; it returns an async function that gives the outcome."""

    def mark(function: Function) -> Function:
        waits = begins or iscoroutinefunction(function)
        function.__dict__[_MARK] = Method(name, arguments_of(takes), arguments_of(gives), function, waits, begins)
        return function

    return mark


def readable(name: str, signature: str) -> Callable[[Function], Function]:
    """Offer a property that can be read and not set."""

    def mark(function: Function) -> Function:
        function.__dict__[_MARK] = Property(name, type_of(signature), function)
        return function

    return mark


def signal(name: str, arguments: str = "") -> Signal:
    """A signal, for the class's `signals`."""
    return Signal(name, arguments_of(arguments))


def arguments_of(text: str) -> tuple[Argument, ...]:
    """ "TYPE NAME, TYPE NAME" as arguments. Raises ValueError."""
    found = []
    for each in filter(None, text.split(",")):
        signature, _, name = each.strip().partition(" ")
        if not name.isidentifier():
            raise ValueError(f"found {each!r}, expected a type and a name")
        found.append(Argument(name, type_of(signature)))
    return tuple(found)


def interface_of(kind: type[Any]) -> Interface:
    """What the class says of itself, in the order in which it does."""
    marked = [mark for function in vars(kind).values() if (mark := getattr(function, _MARK, None)) is not None]
    return Interface(
        kind.interface,
        {mark.name: mark for mark in marked if isinstance(mark, Method)},
        {mark.name: mark for mark in marked if isinstance(mark, Property)},
        {each.name: each for each in getattr(kind, "signals", ())},
    )
