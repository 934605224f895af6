"""What a bus says in one turn: an answer, and that the connection or the service is gone (docs/dbus.md)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.match_rule import BUS_NAME, BUS_PATH
from spanbridge.payloads.bus.message import write_message
from spanbridge.payloads.bus.signature import Variant
from spanbridge.testing.plugin import Start

from ..bus.client import BusClient
from .test_ends import Peer
from .test_wrong_answers import Answer, be_a_bus, said_by

XML = """<node><interface name="a.Full"><property name="P" type="s" access="read"/></interface>
<interface name="a.Plain"><method name="M"/></interface></node>"""


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with closing(Peer(tmp_path / "peer")) as peer:
        yield peer


def test_a_connection_that_is_lost_with_its_first_answer(start: Start, peer: Peer) -> None:
    front = start().front_end
    thread = be_a_bus(peer, lambda asked: as_one(wire.reply(asked, "s", [":1.1"])) + b"x" * 32)
    front.open("bus", "dbus-json3", bus="none", address=peer.address, name="a.b")
    front.expect("close", "bus", problem="disconnected")
    thread.join()


def as_one(*messages: wire.Message) -> bytes:
    return b"".join(write_message(each, number) for number, each in enumerate(messages, 1))


def hands_over(member: str) -> Answer:
    """A service that answers, and whose name is another's in the same write; only the first one has the object."""
    hands = list[str]()

    def answer(asked: wire.Message) -> wire.Message | bytes | None:
        told: wire.Message | None = None
        if asked.member == "Introspect":
            told = wire.reply(asked, "s", ["<node/>" if hands else XML])
        elif asked.member == "GetAll":
            told = wire.reply(asked, "a{sv}", [{"P": Variant("s", "x")}])
        if told is None or asked.member != member or hands:
            return told
        hands.append(member)
        return as_one(told) + said_by(BUS_NAME, BUS_PATH, BUS_NAME, "NameOwnerChanged", "sss", ["a.b", ":1.2", ":1.3"])

    return answer


@pytest.mark.parametrize("member", ["Introspect", "GetAll"])
@pytest.mark.parametrize("watch", [{"path": "/"}, {}, {"path": "/", "interface": "a.Full"}], ids=str)
def test_a_service_that_is_another_with_its_answer(start: Start, peer: Peer, member: str, watch: Any) -> None:
    """Nothing of the old one is left to be told of, and the watch is answered once the new one was asked."""
    bridge = start(environ={"DBUS_SESSION_BUS_ADDRESS": peer.address})
    thread = be_a_bus(peer, hands_over(member))
    client = BusClient(bridge.front_end, "bus", bus="session", name="a.b")
    client.say({"watch": watch, "id": "watch"})
    told = [client.next()]
    while told[-1].get("id") != "watch":
        told.append(client.next())
    alive = dict[str, Any]()
    for message in told:
        for path, interfaces in message.get("notify", {}).items():
            alive |= {(path, name): each for name, each in interfaces.items()}
    assert [each for each in alive.values() if each is not None] == []
    assert {"owner": ":1.3"} in told
    bridge.front_end.close("bus")
    bridge.front_end.hang_up()
    thread.join()
