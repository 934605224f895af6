"""Large answers and many: in small messages, no faster than they are taken, and over when nobody wants them."""

import random
import subprocess
import sys

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import Client, packed, write_package
from .conftest import Ask

MESSAGE_BYTES = 64 << 10
LARGE_BYTES = 8 << 20
ANSWERS = 32
"""How many are in the making at once, each with a file open."""
OPENING = 2
"""Further descriptors that there are for a moment while a file is opened."""


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def descriptors_at_rest(client: Client, bridge: Bridge) -> int:
    """How many descriptors the bridge has open once all that it was asked for is done."""
    assert client.get("/checksum").status == 200
    client.front_end.sync()  # what an answer holds is let go of after the close of its channel
    return processes.descriptors(bridge.pid)


def comes_to_rest(client: Client, bridge: Bridge, descriptors: int) -> bool:
    """Whether it comes to have so many open: files that were not read to the end are closed in threads."""
    deadline = Deadline()
    while (found := descriptors_at_rest(client, bridge)) != descriptors and deadline.left:
        pass
    return found == descriptors


def test_a_body_comes_in_messages_of_a_bounded_size(home: Home, ask: Ask) -> None:
    content = noise(300_000)
    text = ("ä€𝄞" * 40_000).encode()
    files = {"plain": content, "packed.gz": packed(content), "text": text, "bomb.gz": packed(bytes(1 << 20))}
    write_package(home.data_home, "pkg", files)
    client = ask()
    expected = {"plain": content, "packed": content, "text": text, "bomb": bytes(1 << 20)}
    for name, whole in expected.items():
        for binary in ("raw", ...) if name in ("text", "bomb") else ("raw",):
            response = client.get(f"/pkg/{name}", {"Accept-Encoding": "identity"}, binary=binary)
            assert response.body == whole
            assert max(map(len, response.pieces)) <= MESSAGE_BYTES
            assert len(response.pieces) <= len(response.body) / MESSAGE_BYTES + 2


def test_a_channel_for_text_gets_whole_characters(home: Home, ask: Ask) -> None:
    text = "x" + "€" * 100_000
    write_package(home.data_home, "pkg", {"a.txt": text, "b.txt.gz": packed(text), "po.de.js": text})
    client = ask()
    for path in ["/pkg/a.txt", "/pkg/b.txt", "/pkg/po.js", "/*/a.txt"]:
        response = client.get(path, {"Accept-Language": "de", "Accept-Encoding": "gzip"}, binary=...)
        assert "Content-Encoding" not in response.headers
        assert "".join(piece.decode() for piece in response.pieces) == text
        assert len(response.pieces) > 3


def test_what_is_not_text_is_replaced_on_a_channel_for_text(home: Home, ask: Ask) -> None:
    files = {"early": b"\xff" * 10, "late": b"x" * 200_000 + b"\xe2\x82", "whole": b"\xff" * 100_000}
    write_package(home.data_home, "pkg", files)
    client = ask()
    for name, content in files.items():
        assert client.get(f"/pkg/{name}").body == content
        response = client.get(f"/pkg/{name}", binary=...)
        assert response.status == 200
        assert response.body.decode() == content.decode(errors="replace")
        assert max(map(len, response.pieces)) <= MESSAGE_BYTES


def test_memory_stays_flat_however_much_is_asked_for(home: Home, start: Start) -> None:
    content = noise(LARGE_BYTES)
    write_package(home.data_home, "pkg", {"large": content})
    bridge = start()
    client = Client(bridge.front_end)
    client.get("/pkg/large")
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    channels = [client.send("/pkg/large") for _ in range(6)]
    for channel in channels:
        assert client.receive(channel).body == content
    assert processes.peak_bytes(bridge.pid) - before < LARGE_BYTES


def test_answers_take_turns(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "pkg", {"large": noise(LARGE_BYTES), "small": "x"})
    client = ask()
    large, small = client.send("/pkg/large"), client.send("/pkg/small")
    client.receive(small)
    assert "close" not in client.front_end.commands(large)
    assert client.receive(large).status == 200


def test_many_requests_hold_few_files(home: Home, start: Start) -> None:
    content = noise(200_000)
    write_package(home.data_home, "pkg", {"large": content})
    bridge = start()
    client = Client(bridge.front_end)
    before = descriptors_at_rest(client, bridge)
    channels = [client.send("/pkg/large") for _ in range(3 * ANSWERS)]
    held = []
    for channel in channels:
        assert client.receive(channel).body == content
        held.append(processes.descriptors(bridge.pid))
    assert before < max(held) <= before + ANSWERS + OPENING
    assert comes_to_rest(client, bridge, before)


def test_as_many_are_in_the_making_as_may_be(home: Home, start: Start) -> None:
    """Two that nobody takes to the end hold up a third, however small, until one of them is over."""
    write_package(home.data_home, "pkg", {"large": noise(200_000), "small": "x"})
    bridge = start(limits={"package_answers": 2, "window_bytes": MESSAGE_BYTES})
    client, front = Client(bridge.front_end), bridge.front_end
    before = descriptors_at_rest(client, bridge)
    stuck = [client.send("/pkg/large", flow_control=True) for _ in range(2)]
    for channel in stuck:
        front.wait_until(lambda channel=channel: len(front.data_so_far(channel)) >= MESSAGE_BYTES, "a window")  # type: ignore[misc]
    waiting = client.send("/pkg/small")
    assert bridge.log.wait("limit name=package_answers value=2")
    front.sync()
    assert processes.descriptors(bridge.pid) == before + 2
    assert front.commands(waiting) == ["ready"]
    front.close(stuck[0])
    assert client.receive(waiting).body == b"x"
    front.close(stuck[1])


def test_an_answer_that_nobody_wants_any_more_lets_go_of_its_file(home: Home, start: Start) -> None:
    write_package(home.data_home, "pkg", {"large": noise(LARGE_BYTES), "small": "x"})
    bridge = start()
    client = Client(bridge.front_end)
    before = descriptors_at_rest(client, bridge)
    channels = [client.send(path) for path in ("/pkg/large", "/*/large")]
    for channel in channels:
        client.front_end.take(lambda frame, channel=channel: frame.channel == channel, "the head")  # type: ignore[misc]
        client.front_end.close(channel)
    assert comes_to_rest(client, bridge, before)
    for channel in channels:
        assert client.front_end.commands(channel)[-1] == "close"
        assert "done" not in client.front_end.commands(channel)


def test_a_front_end_that_goes_away_within_an_answer_is_no_error(home: Home, start: Start) -> None:
    write_package(home.data_home, "pkg", {"large": noise(LARGE_BYTES)})
    bridge = start()
    client = Client(bridge.front_end)
    channel = client.send("/pkg/large")
    client.front_end.take(lambda frame: frame.channel == channel, "the head")
    assert bridge.end() == 0
    assert not bridge.log.matches("error")


def test_a_start_does_not_pay_for_this() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import bridge.start, spanbridge.session.session, sys; print(*sorted(sys.modules), sep='\\n')",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "spanbridge.payloads.base" in found
    assert not [name for name in found if name.startswith(("spanbridge.payloads.packages", "spanbridge.payloads.http"))]
