"""Flow of channels that the bridge serves itself: window, pings, acks, bounds, turns, text."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.plugin import Start

from .client import Client

MIB = 1 << 20
WINDOW = 2 * MIB


def test_much_output_comes_whole_in_small_messages(client: Client) -> None:
    size = 24 * MIB
    for binary in ({"binary": "raw"}, {}):
        heard = client.heard(client.shell(f"head -c {size} /dev/zero", **binary))
        assert len(heard.data) == size
        assert max(map(len, heard.messages)) <= 64 << 10
        assert heard.commands[-2:] == ["done", "close"]
        client.front.log.clear()


@pytest.mark.parametrize("binary", [{"binary": "raw"}, {}])
def test_all_bytes_arrive_as_they_were_written(client: Client, binary: dict[str, str], tmp_path: Path) -> None:
    data = os.urandom(3 * MIB) if binary else ("ä€𝄞x" * 200_000).encode()
    (tmp_path / "data").write_bytes(data)
    assert client.heard(client.spawn("cat", str(tmp_path / "data"), **binary)).data == data
    channel = client.shell(f"cat > {tmp_path / 'copy'}", **binary)
    for at in range(0, len(data), 100_000):
        client.front.send(channel, data[at : at + 100_000])
    client.front.control("done", channel=channel)
    assert client.heard(channel).closed["exit-status"] == 0
    assert (tmp_path / "copy").read_bytes() == data


def test_text_is_made_valid(client: Client) -> None:
    heard = client.heard(client.shell(r"printf 'a\303'; sleep 0.1; printf '\244b\377\0c\303'"))
    assert heard.data.decode() == "aäb\ufffd\0c\ufffd"
    assert all(piece.decode() for piece in heard.messages)
    assert heard.commands[-2:] == ["done", "close"]


def test_no_more_than_a_window_is_under_way(client: Client) -> None:
    """The program waits in its pipe until the front end has said that it has what was sent."""
    channel = client.shell(f"head -c {5 * MIB} /dev/zero", binary="raw", **{"flow-control": True})
    front, got, answered = client.front, 0, 0
    while got < 5 * MIB:
        frame = front.take(lambda frame: (frame.channel or frame.message.get("channel")) == channel, "more")
        if frame.channel:
            got += len(frame.payload)
            assert got <= answered + WINDOW
        elif frame.message["command"] == "ping":
            sequence = frame.message["sequence"]
            assert sequence <= got
            if sequence >= answered + MIB:
                front.sync()
                front.control("pong", channel=channel, sequence=sequence)
                answered = sequence
    assert "done" in client.heard(channel).commands
    front.log.clear()


@pytest.mark.parametrize(
    ("byte", "options"), [("\\0", {"batch": 60_000, "binary": "raw"}), ("\\377", {"batch": 9_000}), ("\\377", {})]
)
def test_nor_is_it_with_what_was_collected_or_replaced(client: Client, byte: str, options: dict[str, Any]) -> None:
    """Output in pieces that do not divide it; bytes that become three each."""
    piece = f"head -c 39000 /dev/zero | tr '\\000' '{byte}'"
    channel = client.shell(f"for i in $(seq 80); do {piece}; done", **{"flow-control": True}, **options)
    front, got, answered = client.front, 0, 0
    while True:
        frame = front.take(lambda frame: (frame.channel or frame.message.get("channel")) == channel, "more")
        if frame.channel:
            got += len(frame.payload)
            assert got <= answered + WINDOW
        elif frame.message["command"] == "close":
            break
        elif frame.message["command"] == "ping" and got > answered + WINDOW - 16_384:
            answered = frame.message["sequence"]
            front.control("pong", channel=channel, sequence=answered)
    assert got == 80 * 39_000 * (3 if byte == "\\377" else 1)
    front.log.clear()


def test_without_pongs_it_stops_and_others_go_on(client: Client) -> None:
    channel = client.shell("cat /dev/zero", binary="raw", **{"flow-control": True})
    front = client.front
    front.data(channel, WINDOW)
    for sequence in (WINDOW + 1, -1, "x", True, None, 0):
        front.control("pong", channel=channel, sequence=sequence)
    assert client.run("echo hello").data == b"hello\n"
    assert len(front.data_so_far(channel)) == WINDOW
    front.control("pong", channel=channel, sequence=16 << 10)
    front.data(channel, 16 << 10)
    front.close(channel)
    front.log.clear()


def test_pongs_come_when_what_came_before_was_taken(client: Client, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    channel = client.shell(f"read -r _ < {go}; cat > /dev/null", binary="raw")
    client.pid(channel)
    front = client.front
    front.control("ping", channel=channel, at="first")
    assert front.expect("pong", channel)["at"] == "first"
    front.send(channel, b"x" * 4 * MIB)
    front.control("ping", channel=channel, at="second", extra=[1])
    front.sync()
    assert front.commands(channel).count("pong") == 1
    go.write_text("\n")
    assert front.expect("pong", channel)["extra"] == [1]
    front.close(channel)


def test_too_many_pings(start: Start) -> None:
    client = Client(start(limits={"channel_pings": 3}), "pings")
    channel = client.shell("sleep 1000", binary="raw")
    client.pid(channel)
    client.front.send(channel, b"x" * 4 * MIB)
    for _ in range(4):
        client.front.control("ping", channel=channel)
    closed = client.heard(channel).closed
    assert closed["problem"] == "protocol-error"
    assert closed["message"].endswith("more than 3 pings wait for their pongs (channel_pings)")


def test_pings_that_are_too_large(start: Start) -> None:
    client = Client(start(limits={"channel_queue_bytes": 1_000_000, "pipe_bytes": 65_536}), "pings")
    channel = client.shell("sleep 1000", binary="raw")
    client.pid(channel)
    client.front.send(channel, b"x" * 900_000)
    for _ in range(3):
        client.front.control("ping", channel=channel, much="x" * 400_000)
    closed = client.heard(channel).closed
    assert closed["problem"] == "protocol-error"
    assert closed["message"] == "more than 1000000 bytes of pings wait for their pongs (channel_queue_bytes)"


def test_acks_are_one_for_each_message_in_order(client: Client) -> None:
    channel = client.shell("cat > /dev/null", **{"send-acks": "bytes"})
    sizes = [1, 0, 70_000, 3, 200_000, 0]
    for size in sizes:
        client.front.send(channel, b"x" * size)
    client.front.control("done", channel=channel)
    heard = client.heard(channel)
    acks = [f.message["bytes"] for f in heard.frames if not f.channel and f.message["command"] == "ack"]
    assert acks == sizes


def test_data_and_done_after_done(client: Client) -> None:
    for more in ("data", "done"):
        channel = client.shell("sleep 1000")
        client.front.control("done", channel=channel)
        if more == "data":
            client.front.send(channel, b"x")
        else:
            client.front.control("done", channel=channel)
        assert client.heard(channel).closed["problem"] == "protocol-error"


def test_input_that_nobody_takes_is_bounded(start: Start) -> None:
    """The front end is not read; then the channel that is stuck is closed, and the others go on."""
    client = Client(start(limits={"channel_queue_bytes": 1 << 20, "stuck_seconds": 0.5}), "stuck")
    channel = client.shell("sleep 1000", binary="raw")
    client.pid(channel)
    before = processes.resident_bytes(client.bridge.pid)
    for _ in range(64):
        client.front.send(channel, b"x" * (256 << 10))
    assert client.heard(channel).closed["problem"] == "timeout"
    client.front.sync()
    assert processes.resident_bytes(client.bridge.pid) - before < 8 * MIB
    client.bridge.log.wait("limit name=channel_queue_bytes")
    assert client.run("echo on").data == b"on\n"


def test_all_channels_together_are_bounded(start: Start) -> None:
    client = Client(start(limits={"channels_queue_bytes": 1 << 20, "stuck_seconds": 0.5}), "together")
    channels = [client.shell("sleep 1000", binary="raw") for _ in range(8)]
    for channel in channels:
        client.pid(channel)
    for channel in channels:
        client.front.send(channel, b"x" * (2 << 20))
    client.front.sync()
    closed = [channel for channel in channels if "close" in client.front.commands(channel)]
    assert closed
    client.bridge.log.wait("limit name=channels_queue_bytes")
    assert client.run("echo on").data == b"on\n"


def test_output_that_nobody_takes_is_bounded(start: Start) -> None:
    client = Client(start(), "unread")
    client.run("true")
    before = processes.resident_bytes(client.bridge.pid)
    channels = [client.shell("cat /dev/zero", binary="raw") for _ in range(5)]
    for channel in channels:
        client.front.take(lambda frame, channel=channel: frame.channel == channel, "data")  # type: ignore[misc]
    # Until the pipe is full nothing was read of them; what is held then is what it takes at one time.
    assert processes.resident_bytes(client.bridge.pid) - before < 8 * MIB
    for channel in channels:
        client.front.close(channel)
    client.front.sync()


def test_a_batch_is_collected(client: Client) -> None:
    """Until it is full, or its time is over; the end of the output sends what there is."""
    script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.01; done"
    heard = client.run(script, batch=1_000, latency=60_000)
    assert heard.messages == [b"1\n2\n3\n4\n5\n6\n7\n8\n"]
    heard = client.run(script, batch=6, latency=60_000)
    assert heard.data == b"1\n2\n3\n4\n5\n6\n7\n8\n"
    assert all(len(piece) >= 6 for piece in heard.messages[:-1])


def test_options_change_it(client: Client) -> None:
    channel = client.shell("printf abc; sleep 1000", batch=1_000, latency=600_000)
    client.pid(channel)
    client.front.control("options", channel=channel, batch="x", latency=None, window=5)
    client.front.sync()
    client.front.control("options", channel=channel, batch=3, latency="y")
    assert client.front.data(channel, 3) == b"abc"
    client.bridge.log.wait("option-ignored")
    client.front.close(channel)


def test_an_answer_to_a_close_that_is_not_for_the_next_life(client: Client) -> None:
    """Opened again in one breath with its close: no answer, and nothing of the old program."""
    channel = client.shell("while :; do echo old; done")
    client.front.take(lambda frame: frame.channel == channel, "its output")
    front = client.front
    frames = [
        {"command": "close", "channel": channel},
        {"command": "open", "channel": channel, "payload": "stream", "spawn": ["/bin/sh", "-c", "echo new"]},
    ]
    payloads = [b"\n" + json.dumps(message).encode() for message in frames]
    front.write(b"".join(b"%d\n%b" % (len(payload), payload) for payload in payloads))
    front.expect("ready", channel)  # the first
    heard = client.heard(channel)
    again = len(heard.commands) - 1 - heard.commands[::-1].index("ready")
    assert heard.commands[again:] == ["ready", "data", "done", "close"]
    assert heard.frames[again + 1].payload == b"new\n"
    assert heard.commands.count("close") == 1


def test_in_a_locale_without_a_charset(start: Start, tmp_path: Path) -> None:
    client = Client(start(environ={"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}), "locale")
    place = tmp_path / "żółć"
    place.mkdir()
    heard = client.heard(client.spawn(sys.executable, "-c", "import os; print(os.getcwd())", directory=str(place)))
    assert heard.closed["exit-status"] == 0
    assert "żółć" in client.heard(client.spawn("pwd", directory=str(place))).data.decode()


def test_what_is_said_before_it_is_connected_is_bounded(start: Start, tmp_path: Path) -> None:
    """Whatever it is: a socket whose backlog is full lets nobody in."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as let_in:
        listening.bind(path)
        listening.listen(0)
        let_in.connect(path)
        bridge = start(limits={"channel_queue_bytes": 100_000, "stuck_seconds": 0.5})
        front = bridge.front_end
        front.open("a", "stream", unix=path)
        front.sync()
        for _ in range(300):
            front.control("options", channel="a", nobody="x" * 1_000)
        assert front.expect("close", "a")["problem"] == "timeout"
        front.sync()
        assert bridge.log.matches("channel_queue_bytes")
