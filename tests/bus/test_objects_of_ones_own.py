"""What the bus makes of a class: calls that wait, mistakes, signals, limits (docs/internal-bus.md, "Objects")."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from spanbridge.limits import Limits
from spanbridge.payloads import dbus
from spanbridge.payloads.base import Services
from spanbridge.payloads.bus import inside
from spanbridge.payloads.bus.bus import Bus
from spanbridge.payloads.bus.signature import Variant

from .client import ERROR, PROPERTIES
from .sample import OBJECTS, Kettle, Lamp
from .without_process import Opened, Workbench, workbench

pytestmark = pytest.mark.anyio

KETTLE = "/kitchen/kettle"


@pytest.fixture(autouse=True)
def kitchen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Services], Bus]:
    """The bus has the objects of sample.py and no others."""

    def make(services: Services) -> Bus:
        return Bus(services, OBJECTS)

    monkeypatch.setattr(inside, "Bus", make)
    return make


def on_bus(bench: Workbench, channel: str = "test") -> Opened:
    return bench.open(dbus.dbus, channel, bus="internal")


def call(method: str, *arguments: Any, path: str = KETTLE, interface: str = "test.Kettle", **members: Any) -> Any:
    return {"call": [path, interface, method, arguments], "id": method, **members}


def served(bench: Workbench, make: Callable[[Services], Bus], path: str) -> Any:
    node = bench.services.once(make).node(path)
    assert node.own is not None
    return node.own.server


async def test_a_call_that_waits_keeps_nobody_waiting(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    async with workbench(tmp_path) as bench:
        channel, other = on_bus(bench), on_bus(bench, "other")
        kettle: Kettle = served(bench, kitchen, KETTLE)
        channel.say(call("Boil", 100))
        channel.say(call("Two"))
        other.say(call("Two"))
        assert channel.messages == [{"reply": [["a", ["b", "c"]]], "id": "Two"}] == other.messages
        kettle.boiling.set()
        assert await channel.message_after(1) == {"reply": [[20]], "id": "Boil"}


async def test_a_call_ends_with_its_channel_and_the_object_stays(
    tmp_path: Path, kitchen: Callable[[Services], Bus]
) -> None:
    async with workbench(tmp_path) as bench:
        channel, other = on_bus(bench), on_bus(bench, "other")
        kettle: Kettle = served(bench, kitchen, KETTLE)
        channel.say(call("Boil", 100))
        other.say(call("Boil", 90))
        await anyio.wait_all_tasks_blocked()
        assert kettle.waiting == 2
        channel.end({"command": "close"})
        await anyio.wait_all_tasks_blocked()
        assert kettle.waiting == 1
        kettle.boiling.set()
        assert await other.message_after(0) == {"reply": [[20]], "id": "Boil"}
        assert channel.messages == []


async def test_a_call_of_a_channel_that_closes_before_it_begins(
    tmp_path: Path, kitchen: Callable[[Services], Bus]
) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        kettle: Kettle = served(bench, kitchen, KETTLE)
        channel.say(call("Boil", 100))
        channel.end({"command": "close"})
        kettle.boiling.set()
        await anyio.wait_all_tasks_blocked()
        assert kettle.waiting == 0
        assert channel.messages == []


async def test_so_many_calls_may_wait_and_no_more(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        kettle: Kettle = served(bench, kitchen, KETTLE)
        for _ in range(Limits().bus_calls):
            channel.say(call("Boil", 100))
        assert channel.messages == []
        channel.say(call("Boil", 100))
        (refusal,) = channel.messages
        assert refusal["error"][0] == ERROR + "LimitsExceeded"
        kettle.boiling.set()
        await channel.message_after(Limits().bus_calls)
        channel.say(call("Boil", 60))
        assert await channel.message_after(Limits().bus_calls + 1) == {"reply": [[100]], "id": "Boil"}


async def test_so_many_bytes_may_wait_and_no_more(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    most = Limits().bus_backlog_bytes
    large = {**call("Boil", 100), "flags": "x" * (most // 20 * 9)}
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        kettle: Kettle = served(bench, kitchen, KETTLE)
        for _ in range(2):
            channel.say(large)
        assert channel.messages == []
        channel.say(large)
        name, (told,) = channel.messages[0]["error"]
        assert name == ERROR + "LimitsExceeded"
        assert told == f"more than {most} bytes of calls of this channel are not answered yet (bus_backlog_bytes)"
        channel.say(call("Boil", 100))
        kettle.boiling.set()
        await channel.message_after(3)
        channel.say(large)
        assert "reply" in await channel.message_after(4)


@pytest.mark.parametrize(
    ("method", "name", "text"),
    [
        ("Break", "test.Broken", "the handle came off"),
        ("BreakLater", "test.Broken", "the handle came off later"),
        ("Mistake", ERROR + "Failed", "ZeroDivisionError: nobody thought of this"),
        ("MistakeLater", ERROR + "Failed", "ZeroDivisionError: nor of this"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_caller_alone(tmp_path: Path, method: str, name: str, text: str) -> None:
    async with workbench(tmp_path) as bench:
        channel, other = on_bus(bench), on_bus(bench, "other")
        channel.say(call(method))
        assert await channel.message_after(0) == {"error": [name, [text]], "id": method}
        assert channel.closed is None
        assert other.messages == []


async def test_a_mistake_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with workbench(tmp_path) as bench:
        on_bus(bench).say(call("Mistake"))
    assert 'error: bus-failed message=call why="ZeroDivisionError: nobody thought of this"' in capfd.readouterr().err


async def test_a_result_of_another_type_than_was_declared_is_a_mistake(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        channel.say(call("WrongResult"))
        (answer,) = channel.messages
        assert answer["error"][0] == ERROR + "Failed"
        assert "not a number" in answer["error"][1][0]


async def test_an_object_that_cannot_be_made(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        channel.say({"watch": {"path": "/puddle"}, "id": "1"})
        channel.say(call("Ping", path="/puddle", interface="org.freedesktop.DBus.Peer"))
        assert [answer["error"] for answer in channel.messages] == [
            [ERROR + "Failed", ["RuntimeError: it has not rained"]]
        ] * 2
        channel.say(call("Two"))
        assert channel.messages[-1] == {"reply": [["a", ["b", "c"]]], "id": "Two"}


async def test_values_come_as_they_were_declared(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        kettle: Kettle = served(bench, kitchen, KETTLE)
        notes = [["c", {"t": "i", "v": 1}], ["d", {"t": "as", "v": ["x"]}]]
        channel.say(call("Hear", "aGVsbG8=", notes, {"-1": 1, "2": 0.5}))
        assert channel.messages == [{"reply": [[]], "id": "Hear"}]
        assert kettle.heard == [
            b"hello",
            [("c", Variant("i", 1)), ("d", Variant("as", ["x"]))],
            {-1: 1.0, 2: 0.5},
        ]


async def test_a_signal_goes_to_whoever_has_asked_for_it(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        asked, twice, other_note, not_asked = (on_bus(bench, name) for name in "abcd")
        asked.say({"add-match": {"interface": "test.Kettle"}})
        for _ in range(2):
            twice.say({"add-match": {"path_namespace": "/kitchen", "member": "Whistled", "arg0": "c"}})
        twice.say({"add-match": {}})
        other_note.say({"add-match": {"path": KETTLE, "arg0": "d"}})
        asked.say({"call": [KETTLE, "test.Kettle", "Whistle", ["c", 3]]})
        signal = {"signal": [KETTLE, "test.Kettle", "Whistled", ["c", 3]]}
        assert (asked.messages, twice.messages) == ([signal], [signal])
        assert (other_note.messages, not_asked.messages) == ([], [])


async def test_matches_are_counted(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        whistle = {"call": [KETTLE, "test.Kettle", "Whistle", ["c", 1]]}
        for _ in range(2):
            channel.say({"add-match": {"path": KETTLE}})
        channel.say({"remove-match": {"path": KETTLE}})
        channel.say(whistle)
        assert len(channel.messages) == 1
        channel.say({"remove-match": {"path": KETTLE}})
        channel.say({"remove-match": {"path": KETTLE}})
        channel.say(whistle)
        assert len(channel.messages) == 1
        channel.say({"add-match": {"path": KETTLE}})
        channel.say(whistle)
        assert len(channel.messages) == 2


async def test_changed_properties_are_a_notify_and_a_signal(tmp_path: Path) -> None:
    """The notify comes first: who acts on the signal finds the new values."""
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        channel.say({"watch": {"path": KETTLE}, "id": "1"})
        channel.say({"add-match": {"interface": PROPERTIES, "arg0": "test.Kettle"}})
        begun = len(channel.messages)
        channel.say(call("Warm", 55))
        changed = {"Degrees": {"t": "u", "v": 55}, "Label": {"t": "s", "v": "steel"}}
        assert channel.messages[begun:] == [
            {"notify": {KETTLE: {"test.Kettle": {"Degrees": 55, "Label": "steel"}}}},
            {"signal": [KETTLE, PROPERTIES, "PropertiesChanged", ["test.Kettle", changed, []]]},
            {"reply": [[]], "id": "Warm"},
        ]


async def test_a_watch_can_be_of_one_interface(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        channel.say({"watch": {"path": "/lamp", "interface": "test.Lamp"}, "id": "1"})
        channel.say({"watch": {"path_namespace": "/kitchen", "interface": "test.Lamp"}, "id": "2"})
        assert [list(message) for message in channel.messages] == [
            ["meta"],
            ["notify"],
            ["reply", "id"],
            ["reply", "id"],
        ]
        channel.say({"call": [KETTLE, "test.Kettle", "Warm", [30]]})
        lamp: Lamp = served(bench, kitchen, "/lamp")
        lamp.on = True
        lamp.outlet.changed("On")
        assert channel.messages[4:] == [{"notify": {"/lamp": {"test.Lamp": {"On": True}}}}]


async def test_after_the_end_of_a_channel_nothing_is_told(tmp_path: Path, kitchen: Callable[[Services], Bus]) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        channel.say({"watch": {"path_namespace": "/kitchen"}, "id": "1"})
        channel.say({"add-match": {"path_namespace": "/kitchen"}})
        channel.end({"command": "close"})
        kettle: Kettle = served(bench, kitchen, KETTLE)
        kettle.warm(80)
        kettle.whistle("c", 1)  # Opened fails the test if a channel speaks after its end


async def test_a_place_without_an_object_tells_what_is_below_it(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        channel = on_bus(bench)
        for path in ("/", "/kitchen", KETTLE):
            channel.say(call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable"))
        texts = [answer["reply"][0][0] for answer in channel.messages]
        assert [text.count("<node name=") for text in texts] == [3, 1, 0]
        assert '<node name="kitchen"/>' in texts[0]
        assert '<node name="kettle"/>' in texts[1]
        channel.say(call("Two", path="/kitchen"))
        channel.say(call("Two", path="/kit"))
        assert [answer["error"][0] for answer in channel.messages[3:]] == [
            ERROR + "UnknownInterface",
            ERROR + "UnknownObject",
        ]
