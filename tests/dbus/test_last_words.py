"""What was said right before the end is heard, on both sides (docs/dbus.md, "How it ends")."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from spanbridge.payloads.bus import message as wire
from spanbridge.protocol.control import control
from spanbridge.protocol.frames import encode
from spanbridge.testing.plugin import Start

from .conftest import BUS, Serve, connect
from .service import PrivateBus, Tree
from .test_ends import Peer, meet


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with closing(Peer(tmp_path / "peer")) as peer:
        yield peer


def test_all_that_a_peer_said_before_it_closed_is_told(start: Start, peer: Peer) -> None:
    """There is so much to compare each signal with that a read takes several turns."""
    front = start().front_end
    client = meet(front, peer, "bus")
    for number in range(200):
        client.say({"add-match": {"member": f"No{number}"}})
    client.say({"add-match": {"member": "Said"}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    peer.next()
    count = 5_000
    said = [wire.write_message(wire.signal("/", "a.b", "Said", "u", [number]), number + 1) for number in range(count)]
    peer.guest.sendall(b"".join(said))
    peer.guest.close()
    assert [client.take("signal")[3] for _ in range(count)] == [[number] for number in range(count)]
    front.expect("close", "bus", problem="disconnected")


def test_all_that_a_peer_said_is_told_though_it_takes_no_more(start: Start, peer: Peer) -> None:
    """The bridge notices only when it writes."""
    bridge = start()
    client = meet(bridge.front_end, peer, "bus")
    for number in range(200):
        client.say({"add-match": {"member": f"No{number}"}})
    client.say({"add-match": {"member": "Said"}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    peer.next()
    os.kill(bridge.pid, signal.SIGSTOP)
    count = 1_500
    said = [wire.write_message(wire.signal("/", "a.b", "Said", "u", [number]), number + 1) for number in range(count)]
    peer.guest.sendall(b"".join(said))
    peer.guest.close()
    for number in range(5):
        client.say({"call": ["/", "a.b", "C", []], "type": "", "id": number})
    os.kill(bridge.pid, signal.SIGCONT)
    assert [client.take("signal")[3] for _ in range(count)] == [[number] for number in range(count)]
    bridge.front_end.expect("close", "bus", problem="disconnected")


def test_all_that_a_channel_said_before_it_closed_is_sent(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Its connection is its own, and ends in the turn in which the last of it is said."""
    service = serve(bus, Tree({}))
    service.listen("type='signal',interface='a.b'")
    front = start(environ=bus.environ).front_end
    client = connect(front, BUS, bus="none", address=bus.address)
    said = [json.dumps({"signal": ["/", "a.b", "Said", [number]], "type": "u"}).encode() for number in range(5)]
    sent = [encode(client.channel.encode(), each) for each in said]
    front.write(b"".join(sent) + control("close", channel=client.channel))
    front.sync()
    service.round_trip()
    assert [message.body for message in service.signals] == [[number] for number in range(5)]
