"""A front end that takes nothing for long: what a service has answered meanwhile is not late (docs/dbus.md)."""

import time

import pytest
from dbus_fast import Variant

from spanbridge.testing.plugin import Start

from .conftest import Serve, connect, until
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
