"""Our libraries, and typing, without what they import and a session does not use: a third of the start, and 6 MiB.

While a library is imported something small stands in for such a module. Whoever imports the module later gets the real
one, and a stand-in that is asked for what it does not have gets it from there. Nothing is done where the library is
there already.

| library | without | since |
|---|---|---|
| typing | re | it takes two classes from there, which are to be had without the compiler of expressions: 1 ms |
| typing | warnings | it warns of what we do not use |
| msgspec | re | it compiles an expression where a type has one |
| msgspec | uuid, decimal, the Python half of datetime | it knows values of these types, of which we have none |
| msgspec | typing_extensions | typing has all that it takes |
| msgspec | forward references | it asks what these take, which loads a compiler: 1 ms |
| msgspec | other forms than JSON | nobody asks for them |
| msgspec | its own inspect and JSON Schema | only `spanbridge schema` and `check` ask for them |
| asyncio, anyio | ssl | nothing but HTTPS needs it |
| asyncio | logging | it logs what our exception handler does not get: nothing, most often |
| anyio | ipaddress | we connect by ourselves |
| anyio | typing_extensions | it is for annotations |
| websockets | importlib.metadata, which imports email and zipfile | it would tell the version of a copy that is none |
| websockets | secrets, which imports OpenSSL | it takes random bytes from there |
| inotify_simple | ctypes.util, which imports tempfile and shutil and starts programs | it is to find the C library |
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_SCHEMA: Final = ("schema", "schema_components")
_OTHER_FORMS: Final = ("msgspec.msgpack", "msgspec.toml", "msgspec.yaml")
_SUCCESS: Final = 1  # all that the compiled form of an empty expression consists of


def import_msgspec() -> None:
    """Import msgspec, and typing before it."""
    if "msgspec" in sys.modules:
        return
    _import_typing()
    datetime = _import("_datetime")  # `datetime` takes its classes from there
    uuid = _module("uuid", UUID=type("UUID", (), {}), SafeUUID=_module("SafeUUID", unknown=None))
    schema = _module("msgspec._json_schema", **{name: _of_later("msgspec._json_schema", name) for name in _SCHEMA})
    with (
        _standing_in(
            _module("decimal", Decimal=type("Decimal", (), {})),
            _module("msgspec.inspect"),
            _later("re", compile=_of_later("re", "compile")),
            schema,
            uuid,
            *map(_later, _OTHER_FORMS),
            datetime=datetime,
            typing_extensions=None,
        ),
        _without_forward_references(),
    ):
        import msgspec
    del msgspec.inspect  # `from msgspec import inspect` imports it


def _import_typing() -> None:
    if "typing" in sys.modules:
        return
    pattern = _import("_sre").compile("", 0, [_SUCCESS], 0, {}, ())
    re = _later("re", Pattern=type(pattern), Match=type(pattern.match("")))
    with _standing_in(re, _later("warnings")):
        import typing  # noqa: F401


def import_event_loop() -> None:
    """Import asyncio and anyio."""
    if "asyncio" in sys.modules:
        return
    logging = _later("logging", DEBUG=10, getLogger=_Logger)
    with _standing_in(logging, ssl=None):
        import asyncio  # noqa: F401
    # anyio names some classes of ssl in annotations and `except` clauses of TLS streams, which we do not use.
    # So it does of ipaddress: we connect by ourselves.
    addresses = _module("ipaddress", __getattr__=_any_class, ip_address=_of_later("ipaddress", "ip_address"))
    with _standing_in(logging, addresses, _module("ssl", __getattr__=_any_class), _typing_extensions()):
        import anyio
        import anyio._backends._asyncio  # noqa: F401


def import_websockets() -> None:
    """Import of websockets what reads and writes frames."""
    secrets = _later("secrets", token_bytes=os.urandom)
    with _standing_in(_later("importlib.metadata"), secrets):
        import websockets.protocol  # noqa: F401


def import_inotify() -> None:
    """Import inotify_simple."""
    # None: what is loaded already, libc with it.
    with _standing_in(_later("ctypes.util", find_library=lambda name: None)):
        import inotify_simple  # type: ignore[import-untyped]  # noqa: F401


def _import(name: str) -> Any:
    __import__(name)  # importlib, which has a function for it, takes longer than what it is wanted for
    return sys.modules[name]


@contextmanager
def _without_forward_references() -> Iterator[None]:
    """msgspec makes one, to see how that is done, and thereby has Python make the classes of its syntax trees."""
    import typing

    was, typing.ForwardRef = typing.ForwardRef, lambda *args, **kwargs: None  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        typing.ForwardRef = was  # type: ignore[misc]


@contextmanager
def _standing_in(*named: types.ModuleType, **others: types.ModuleType | None) -> Iterator[None]:
    """None: not to be imported at all."""
    modules = {module.__name__: module for module in named} | others
    here = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(here)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, stand_in in here.items():
            if sys.modules.get(name) is stand_in:
                sys.modules.pop(name, None)


def _module(module_name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(module_name)
    module.__dict__.update(members)
    return module


def _later(module_name: str, **members: Any) -> types.ModuleType:
    """A module that is not imported until something other than these members is asked of it."""

    def member(name: str) -> Any:
        if name.startswith("__"):  # asked by the import itself
            raise AttributeError(name)
        if sys.modules.get(module_name) is stand_in:
            del sys.modules[module_name]
        return getattr(_import(module_name), name)

    stand_in = _module(module_name, __getattr__=member, **members)
    return stand_in


def _of_later(module_name: str, name: str) -> Any:
    """A function of a module that is not imported until it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(_import(module_name), name)(*args, **kwargs)

    return call


def _any_class(name: str) -> type:
    return type(name, (Exception,), {})


class _Logger:
    """A logger that is made when it is first used, for more than to debug."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, *args: Any, **kwargs: Any) -> None:
        """Nobody has asked for it: nothing sets up `logging` in a bridge."""

    def __getattr__(self, name: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), name)


def _typing_extensions() -> types.ModuleType:
    import typing

    def type_var(name: str, *constraints: Any, default: Any = None, **options: Any) -> Any:
        return typing.TypeVar(name, *constraints, **options)

    members = {name: getattr(typing, name) for name in typing.__all__} | {
        "TypeVar": type_var,
        "deprecated": lambda *args, **kwargs: lambda thing: thing,
        "override": lambda method: method,
        "sentinel": lambda name, *args, **kwargs: types.SimpleNamespace(name=name),
    }
    return _later("typing_extensions", **members)
