"""A front end that takes nothing for long: what a service has answered meanwhile is not late (docs/dbus.md)."""

import time
from typing import Any

import pytest
from dbus_fast import Variant

from spanbridge.testing.plugin import Start

from .conftest import NAME, Serve, connect, sync, until
from .service import PrivateBus, Tree


@pytest.mark.parametrize("most", [1 << 20, 64 << 20], ids=["the bus is not read", "what is told waits for its turn"])
def test_another_watch_is_told_whole_all_the_same(bus: PrivateBus, serve: Serve, start: Start, most: int) -> None:
    many = {f"/a/o{number}": {"a.b": {"P": Variant("s", "x" * 1_000)}} for number in range(2_500)}
    serve(bus, Tree({**many, "/b": {"c.d": {"Q": Variant("u", 1)}}}, manager="/a"))
    bridge = start(environ=bus.environ, limits={"dbus_answer_seconds": 1, "bus_answers_bytes": most})
    first, second = connect(bridge.front_end), connect(bridge.front_end)
    first.say({"watch": {"path_namespace": "/a"}, "id": "1"})
    while not bridge.front_end.unread:
        time.sleep(0.01)
    second.say({"watch": {"path": "/b"}, "id": "2"})
    time.sleep(2.5)  # longer than an answer may take
    assert len(until(first, "1")) > 3
    told = until(second, "2")
    assert [next(iter(each)) for each in told] == ["meta", "notify", "reply"]
    assert told[1]["notify"] == {"/b": {"c.d": {"Q": 1}}}


def objects_told(messages: list[Any]) -> set[str]:
    """The objects that are there, after all that was told of them."""
    there: set[str] = set()
    for message in messages:
        for path, interfaces in message.get("notify", {}).items():
            (there.discard if interfaces["a.b"] is None else there.add)(path)
    return there


@pytest.mark.parametrize("comes_back", [False, True])
def test_what_was_told_of_a_service_that_goes_meanwhile_is_told_as_gone(
    bus: PrivateBus, serve: Serve, start: Start, comes_back: bool
) -> None:
    def many(prefix: str) -> Tree:
        return Tree({f"/{prefix}{n}": {"a.b": {"P": Variant("s", "x" * 1_000)}} for n in range(1_500)}, manager="/")

    service = serve(bus, many("old"))
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    client.say({"watch": {}, "id": "1"})
    while not bridge.front_end.unread:
        time.sleep(0.01)
    time.sleep(0.5)  # all that goes out goes out
    if comes_back:
        serve(bus, many("new"))  # takes the name
    else:
        service.disown(NAME)
    time.sleep(0.5)
    told = until(client, "1")
    if not comes_back:
        told += sync(client)
        assert {"owner": None} in told
    assert objects_told(told) == ({f"/new{n}" for n in range(1_500)} if comes_back else set())
