"""What is told fits a frame with the id of its channel: whoever passes on a longer one would end all that is served."""

import json
from typing import Any

from dbus_fast import Message

from spanbridge.testing.plugin import Start

from ..bus.client import ERROR, BusClient
from .conftest import Serve, connect
from .service import PrivateBus, Tree

MOST = 2_000
LENGTHS = range(MOST - 150, MOST)
COOK = "com.example.Cook"


def fits(client: BusClient, message: dict[str, Any]) -> int:
    """How many bytes of a frame are left beside this message."""
    text = json.dumps(message, separators=(",", ":"))
    return MOST - len(client.channel) - 1 - len(text)


def test_answers(bus: PrivateBus, serve: Serve, start: Start) -> None:
    serve(bus, Tree({}, methods={("a.b", "Long"): ("u", "s", lambda count: ["x" * count])}))
    client = connect(start(environ=bus.environ, limits={"frame_bytes": MOST}).front_end)
    for count in LENGTHS:
        client.say({"call": ["/", "a.b", "Long", [count]], "id": count})
        answer = client.next()
        assert ("error" in answer) == (fits(client, {"reply": [["x" * count]], "id": count}) < 0)
        assert fits(client, answer) >= 0


def test_calls_of_what_is_published(bus: PrivateBus, serve: Serve, start: Start) -> None:
    guest = serve(bus, Tree({}), None)
    client = connect(start(environ=bus.environ, limits={"frame_bytes": MOST}).front_end, None)
    client.say({"meta": {COOK: {"methods": {"Serve": {"in": ["s"]}}}}})
    client.ask({"publish": ["/cook", COOK]})
    least = 0
    for number, count in enumerate(LENGTHS, 1):
        call = Message(client.ready["unique-name"], "/cook", COOK, "Serve", signature="s", body=["x" * count])
        told = {"call": ["/cook", COOK, "Serve", ["x" * count]], "id": f"call-{number}", "name": guest.unique_name}
        if fits(client, told) >= 0:
            guest.later(call)
            assert client.next() == told
            least = count
        else:
            assert guest.call(call).error_name == ERROR + "LimitsExceeded"
    assert LENGTHS[0] < least < LENGTHS[-1]


def test_signals(bus: PrivateBus, serve: Serve, start: Start) -> None:
    service = serve(bus, Tree({}))
    client = connect(start(environ=bus.environ, limits={"frame_bytes": MOST}).front_end)
    client.say({"add-match": {"member": "Said"}})
    client.ask({"call": ["/", "org.freedesktop.DBus", "GetId", []], "name": "org.freedesktop.DBus"})
    room = fits(client, {"signal": ["/", "a.b", "Said", [""]]})
    service.emit("/", "a.b", "Said", "s", "x" * room)
    assert client.take("signal")[3] == ["x" * room]
    service.emit("/", "a.b", "Said", "s", "x" * (room + 1))
    told = client.front.expect("close", client.channel, problem="too-large")["message"]
    assert told.endswith(f"expected at most {MOST - len(client.channel) - 1} (frame_bytes)")
