"""What was said right before the end is heard (docs/dbus.md, "How it ends")."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from spanbridge.payloads.bus import message as wire
from spanbridge.testing.plugin import Start

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
