"""docs/internal-bus.md: its object works, its table is what there is."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from spanbridge.payloads import dbus
from spanbridge.payloads.base import Services
from spanbridge.payloads.bus import inside
from spanbridge.payloads.bus.bus import OBJECTS, Bus
from spanbridge.payloads.bus.interface import Argument, Method, interface_of

from ..docs.pages import DOCS, blocks, tables, words
from .without_process import workbench

PAGE = DOCS / "internal-bus.md"


@pytest.mark.anyio
async def test_the_object_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks(PAGE, "python", "object")
    module = ModuleType("kettle_of_the_docs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block.text, block.name, "exec"), module.__dict__)  # noqa: S102 - it is ours

    def make(services: Services) -> Bus:
        return Bus(services, {"/kettle": (module.__name__, "Kettle")})

    monkeypatch.setattr(inside, "Bus", make)
    async with workbench(tmp_path) as bench:
        channel = bench.open(dbus.dbus, bus="internal")
        channel.say({"watch": {"path": "/kettle"}, "id": "1"})
        channel.say({"add-match": {"interface": "example.Kettle"}})
        begun = len(channel.messages)
        channel.say({"call": ["/kettle", "example.Kettle", "Boil", [0]], "id": "2"})
        await channel.message_after(begun + 2)
        channel.say({"call": ["/kettle", "example.Kettle", "Boil", [0]], "id": "3"})
        await channel.message_after(begun + 3)
        channel.say({"call": ["/kettle", "example.Kettle", "PourOut", []], "id": "4"})
        assert channel.messages[begun:] == [
            {"notify": {"/kettle": {"example.Kettle": {"Degrees": 100}}}},
            {"signal": ["/kettle", "example.Kettle", "Whistled", ["c", 3]]},
            {"reply": [[20]], "id": "2"},
            {"error": ["example.Kettle.Error", ["it boils already"]], "id": "3"},
            {"notify": {"/kettle": {"example.Kettle": {"Degrees": 20}}}},
            {"reply": [[]], "id": "4"},
        ]


def listed(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(f"{each.type.text} {each.name}" for each in arguments)


def told(method: Method) -> str:
    results = f" -> {''.join(each.type.text for each in method.gives)}" if method.gives else ""
    return f"{method.name}({listed(method.takes)}){results}"


def test_the_table_of_objects() -> None:
    ((_, *rows),) = tables(PAGE, "What there is")
    assert [words(path) for path, _, _ in rows] == [[path] for path in sorted(OBJECTS)]
    for path, name, offers in rows:
        module, kind = OBJECTS[words(path)[0]]
        interface = interface_of(getattr(import_module(module, "spanbridge.payloads.bus"), kind))
        types = {each.type.text for each in interface.properties.values()}
        assert words(name) == [interface.name]
        signals = {f"{each.name}({listed(each.arguments)})" for each in interface.signals.values()}
        methods = set(map(told, interface.methods.values()))
        assert set(words(offers)) == {*methods, *signals, *interface.properties, *types}
