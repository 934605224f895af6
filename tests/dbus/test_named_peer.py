"""A peer without a bus that says its name in what it sends, as systemd does (docs/dbus.md)."""

import struct
from contextlib import closing
from pathlib import Path

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.marshal import marshal
from spanbridge.testing.plugin import Start

from .test_ends import Peer, meet


def test_what_it_says_keeps_its_order(start: Start, tmp_path: Path) -> None:
    """A new object is told of before the answer that came after its first signal."""
    with closing(Peer(tmp_path / "peer")) as peer:
        client = meet(start().front_end, peer, "bus")
        client.say({"watch": {"path_namespace": "/a"}, "id": "w"})
        for path in ("/a", "/"):
            asked = peer.next()
            assert (asked.path, asked.member) == (path, "GetManagedObjects")
            peer.guest.sendall(named(wire.error(asked, "a.b.Error")))
        peer.guest.sendall(named(wire.reply(peer.next(), "s", ["<node/>"])))
        assert client.next() == {"reply": [], "id": "w"}
        client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
        asked = peer.next()
        peer.guest.sendall(named(wire.signal("/a/new", "a.b", "Said", "", [])) + named(wire.reply(asked)))
        asked = peer.next()
        assert asked.member == "Introspect"
        peer.guest.sendall(named(wire.reply(asked, "s", ['<node><interface name="a.b"/></node>'])))
        told = [client.next() for _ in range(3)]
        assert [next(iter(each)) for each in told] == ["meta", "notify", "reply"]


def named(message: wire.Message) -> bytes:
    """Its bytes, with a sender."""
    data = wire.write_message(message._replace(destination=None), 1)
    (size,) = struct.unpack_from("<I", data, 12)
    fields = data[16 : 16 + size]
    fields += bytes(-size % 8) + b"\7\1s\0" + marshal("s", ["org.freedesktop.systemd1"])
    return data[:12] + struct.pack("<I", len(fields)) + fields + bytes(-len(fields) % 8) + message.body
