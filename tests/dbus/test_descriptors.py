"""Descriptors that come over a bus (docs/dbus.md, "Descriptors")."""

import itertools
import os
import resource
import socket
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dbus_fast import Message

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.descriptors import Descriptors
from spanbridge.payloads.bus.message import write_message
from spanbridge.payloads.bus.place import Place
from spanbridge.payloads.bus.unmarshal import Handle
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from ..bridge.test_rlimits import lowered
from .conftest import Serve, connect
from .service import PrivateBus, Service, descriptors_of
from .test_ends import Peer, meet


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
    bridge = start(environ=bus.environ, limits={"dbus_descriptors": 4})
    client = connect(bridge.front_end)
    found: list[Any] = []
    for _ in range(2):
        ((told, _),) = client.ask({"call": ["/", "a.b", "Get", [3]], "type": "u"})["reply"]
        found += told
    assert [each is None for each in found] == [False] * 4 + [True] * 2
    assert bridge.log.wait("limit name=dbus_descriptors value=4")


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


class Giver:
    """Gives one descriptor away."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __call__(self, service: Service, message: Message) -> None:
        service.send(Message.new_method_return(message, "h", [0], [self._fd]))
        os.close(self._fd)


def given(bus: PrivateBus, serve: Serve, front: FrontEnd, fd: int, channel: str, **options: Any) -> dict[str, Any]:
    """Have a service give this away, and open it; the options of the open."""
    # A number is given again to the next descriptor: a name made of it would change its owner while it is asked for.
    name = f"com.example.{channel.title()}"
    serve(bus, Giver(fd), name)
    client = connect(front, name)
    (told,) = client.ask({"call": ["/", "a.b", "Get", []]})["reply"][0]
    front.open(channel, **told, **options)
    front.expect("ready", channel)
    front.open(f"{channel}-again", **told)
    front.expect("close", f"{channel}-again", problem="not-found")
    found: dict[str, Any] = told
    return found


def test_a_pipe_is_read_to_its_end(bus: PrivateBus, serve: Serve, start: Start) -> None:
    front = start(environ=bus.environ).front_end
    read, write = os.pipe()
    given(bus, serve, front, read, "pipe")
    os.write(write, b"hello")
    assert front.take(lambda frame: frame.channel == "pipe", "data").payload == b"hello"
    front.send("pipe", b"not this way")
    front.expect("close", "pipe", problem="protocol-error")
    os.close(write)


def test_a_pipe_is_written_to(bus: PrivateBus, serve: Serve, start: Start) -> None:
    front = start(environ=bus.environ).front_end
    read, write = os.pipe()
    given(bus, serve, front, write, "pipe")
    front.send("pipe", b"hello")
    front.control("done", channel="pipe")
    front.expect("close", "pipe")
    assert os.read(read, 100) == b"hello"
    assert os.read(read, 100) == b""
    os.close(read)


def test_a_socket_goes_both_ways(bus: PrivateBus, serve: Serve, start: Start) -> None:
    front = start(environ=bus.environ).front_end
    ours, theirs = socket.socketpair()
    with ours:
        given(bus, serve, front, theirs.detach(), "socket")
        front.send("socket", b"ping")
        assert ours.recv(100) == b"ping"
        ours.sendall(b"pong")
        assert front.take(lambda frame: frame.channel == "socket", "data").payload == b"pong"
        front.control("done", channel="socket")
        assert ours.recv(100) == b""
    front.expect("done", "socket")
    front.expect("close", "socket")


def test_a_file(bus: PrivateBus, serve: Serve, start: Start, tmp_path: Path) -> None:
    front = start(environ=bus.environ).front_end
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    given(bus, serve, front, os.open(path, os.O_RDONLY), "read", binary="raw")
    found = b""
    while len(found) < 200_000:
        found += front.take(lambda frame: frame.channel == "read", "data").payload
    front.expect("done", "read")
    front.expect("close", "read")
    given(bus, serve, front, os.open(path, os.O_WRONLY | os.O_TRUNC), "write")
    front.send("write", b"new")
    front.control("done", channel="write")
    front.expect("close", "write")
    assert path.read_bytes() == b"new"


def test_an_id_that_nobody_gave(start: Start) -> None:
    front = start().front_end
    front.open("none", "stream", internal="0123")
    front.expect("close", "none", problem="not-found")


def test_not_kept_for_ever(bus: PrivateBus, serve: Serve, start: Start) -> None:
    pipes = Pipes()
    serve(bus, pipes)
    bridge = start(environ=bus.environ, limits={"dbus_descriptors_seconds": 0.05})
    front = bridge.front_end
    client = connect(front)
    (((told,), _),) = client.ask({"call": ["/", "a.b", "Get", [1]], "type": "u"})["reply"]
    assert pipes.ended()
    assert bridge.log.wait("limit name=dbus_descriptors_seconds value=0.05")
    front.open("late", **told)
    front.expect("close", "late", problem="not-found")


@pytest.mark.parametrize("spare", [2, 3])
def test_no_descriptor_is_left_for_those_that_came(bus: PrivateBus, serve: Serve, start: Start, spare: int) -> None:
    """Two have come, and there is no room to keep both for later: what is missing is told as such."""
    serve(bus, Pipes())
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    client.say({"call": ["/", "a.b", "Get", [0]], "type": "u", "id": "before"})
    assert client.next()["id"] == "before"
    with lowered(bridge.pid, resource.RLIMIT_NOFILE, free_descriptor(bridge.pid, spare)):
        ((told, _),) = client.ask({"call": ["/", "a.b", "Get", [2]], "type": "u"})["reply"]
    assert [each is None for each in told] == [spare < 3, True]
    assert bridge.log.wait("descriptor-not-kept")
    ((told, _),) = client.ask({"call": ["/", "a.b", "Get", [2]], "type": "u"})["reply"]
    assert [each is None for each in told] == [False, False]


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("cut", [None, 20, -1], ids=["whole", "head first", "last byte later"])
def test_no_descriptor_is_left_to_receive_those_that_come(
    start: Start, tmp_path: Path, spare: int, cut: int | None
) -> None:
    """The message is told without them, and those of the next one are its own, even where the rest of the first comes
    with it."""
    peer = Peer(tmp_path / "peer")
    bridge = start()
    client = meet(bridge.front_end, peer, "peer")
    client.say({"add-match": {"member": "Given"}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "matched"})
    asked = peer.next()
    before = descriptors_of(bridge.pid)
    first, second = (
        write_message(wire.signal("/", "a.b", "Given", "uah", [number, [0, 1]])._replace(fds=[0, 1]), 1 + number)
        for number in range(2)
    )
    with lowered(bridge.pid, resource.RLIMIT_NOFILE, free_descriptor(bridge.pid, spare)):
        socket.send_fds(peer.guest, [first[:cut]], [0, 1])
        assert bridge.log.wait("descriptor-not-kept")
    rest = b"" if cut is None else first[cut:]
    assert rest or client.take("signal")[3] == [0, [None, None]]
    socket.send_fds(peer.guest, [rest + second], [0, 1])
    assert not rest or client.take("signal")[3] == [0, [None, None]]
    told = client.take("signal")[3]
    assert told[0] == 1
    assert None not in told[1]
    assert descriptors_of(bridge.pid) == before + 2
    peer.send(wire.reply(asked, "", [])._replace(destination=None))
    assert client.next()["id"] == "matched"
    peer.close()


def free_descriptor(pid: int, count: int) -> int:
    """The limit with which a process has so many more."""
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(islice((fd for fd in itertools.count() if fd not in taken), count, None))


class SimpleChannel:
    def __init__(self, is_open: bool) -> None:
        self.open = is_open


@pytest.mark.parametrize("is_open", [True, False])
def test_none_is_kept_for_a_channel_that_is_over(is_open: bool) -> None:
    """A large message is read on for a moment."""
    loop = SimpleNamespace(call_later=lambda *_: SimpleNamespace(cancel=bool))
    context = SimpleNamespace(loop=loop, limits=Limits(), log=Log())
    descriptors = Descriptors(cast(Any, SimpleNamespace(context=context)))
    services = SimpleNamespace(once=lambda make: descriptors, context=context)
    nothing = cast(Any, None)
    front: Any = SimpleChannel(is_open)
    place = Place(front, cast(Any, services), nothing, None, nothing, nothing)
    before = descriptors_of(os.getpid())
    with open(os.devnull) as file:
        told = place.encoder(wire.Message(wire.REPLY, fds=(file.fileno(),)))([Handle(0)])
        assert (told == b"[null]") is not is_open
    assert descriptors_of(os.getpid()) == before + is_open
    descriptors.close(front)
