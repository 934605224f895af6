"""Descriptors that come over a bus (docs/dbus.md, "Descriptors")."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from dbus_fast import Message

from spanbridge.payloads.bus import descriptors
from spanbridge.payloads.bus.descriptors import Descriptors
from spanbridge.testing.plugin import Start

from ..bus.without_process import workbench
from .conftest import Serve, connect
from .service import PrivateBus, Service, descriptors_of


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Pipes:
    """Gives pipes away, and keeps the ends that are read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, service: Service, message: Message) -> Message | None:
        count = message.body[0] if message.body else 0
        pipes = [os.pipe() for _ in range(count)]
        self.read += [read for read, _ in pipes]
        given = [write for _, write in pipes]
        if message.member == "Signal":
            service.send(Message.new_signal("/", "a.b", "Given", "ah", [list(range(count))], given))
            answer = Message.new_method_return(message)
        else:
            answer = Message.new_method_return(message, "ahh", [list(range(count)), 99], given)
        service.send(answer)
        for each in given:
            os.close(each)
        return None

    def ended(self) -> bool:
        """Whether nobody has any of the ends that were given."""
        return all(os.read(each, 1) == b"" for each in self.read)


def test_they_are_told_as_streams(bus: PrivateBus, serve: Serve, start: Start) -> None:
    pipes = Pipes()
    serve(bus, pipes)
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    before = descriptors_of(bridge.pid)
    ((told, missing),) = client.ask({"call": ["/", "a.b", "Get", [3]], "type": "u"})["reply"]
    assert missing is None
    assert [set(each) for each in told] == [{"payload", "internal"}] * 3
    assert len({each["internal"] for each in told}) == 3
    assert descriptors_of(bridge.pid) == before + 3
    bridge.front_end.close(client.channel)
    assert pipes.ended()
    assert descriptors_of(bridge.pid) <= before


def test_at_most_so_many(bus: PrivateBus, serve: Serve, start: Start) -> None:
    serve(bus, Pipes())
    client = connect(start(environ=bus.environ).front_end)
    found: list[Any] = []
    for _ in range(10):
        ((told, _),) = client.ask({"call": ["/", "a.b", "Get", [10]], "type": "u"})["reply"]
        found += told
    assert [each is None for each in found] == [False] * 64 + [True] * 36


def test_those_that_nobody_gets_are_closed(bus: PrivateBus, serve: Serve, start: Start) -> None:
    pipes = Pipes()
    serve(bus, pipes)
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    client.say({"call": ["/", "a.b", "Get", [5]], "type": "u"})
    client.say({"call": ["/", "a.b", "Signal", [5]], "type": "u"})
    client.say({"call": ["/", "a.b", "Get", [5]], "type": "u", "timeout": 0.001, "id": "late"})
    assert "late" in str(client.next())
    client.say({"call": ["/", "a.b", "Get", [0]], "type": "u", "id": "last"})
    assert client.next()["id"] == "last"
    assert pipes.ended()
    pipes.read.clear()
    client.say({"add-match": {"member": "Given"}})
    client.say({"call": ["/", "a.b", "Signal", [2]], "type": "u", "id": "told"})
    path, interface, member, ((one, two),) = client.take("signal")
    assert (path, interface, member) == ("/", "a.b", "Given")
    assert one["internal"] != two["internal"]


@pytest.mark.anyio
async def test_taken_once_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "SECONDS", 0.05)
    async with workbench(tmp_path) as bench:
        kept = bench.services.once(Descriptors)
        read, write = os.pipe()
        ident = kept.offer("channel", write)
        assert ident is not None
        assert kept.take("unknown") is None
        taken = kept.take(ident)
        assert taken is not None
        assert kept.take(ident) is None
        os.close(taken)
        late = kept.offer("channel", write)
        os.close(write)
        with anyio.fail_after(10):
            assert await anyio.to_thread.run_sync(os.read, read, 1) == b""
        assert late is not None
        assert kept.take(late) is None
        os.close(read)
