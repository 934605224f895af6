"""The kit itself: that its checks fail when they should."""

import os
import signal
from collections.abc import Callable

import pytest

from spanbridge.testing.bridge import Bridge, LeftBehind
from spanbridge.testing.deadline import Deadline, Hang
from spanbridge.testing.frames import BrokenStream, Decoder, Frame, encode
from spanbridge.testing.front_end import FrontEnd, Unexpected
from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import forever, fork, helper_rule, init, note, serve, set_session, wait
from spanbridge.testing.tail import Tail

GOOD = [init(), serve()]
TEST = {"payload": "test"}


def test_what_outlives_a_bridge_is_found_and_killed(home: Home) -> None:
    home.package("test", helper_rule(TEST, [init(), fork([set_session(), note("daemon"), forever()]), serve()]))
    bridge = Bridge(home)
    bridge.front_end.init()
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    pid = bridge.wait_note("daemon")[0]["pid"]
    bridge.end()
    with pytest.raises(LeftBehind, match=str(pid)):
        bridge.check_nothing_left(seconds=0)
    assert bridge.family == []
    bridge.check_nothing_left()


def test_frames_that_were_not_asked_for_wait(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD)).front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.send(channel, channel.encode())
    front.round_trip("b")
    assert front.data("b", 1) == b"b"
    front.expect("ready", "b")
    front.expect("ready", "a")
    assert front.data("a", 1) == b"a"
    assert front.pending == []
    assert front.commands("a") == ["ready", "data"]


def test_a_close_that_was_not_expected_fails_at_once(start: Start) -> None:
    front = start().front_end
    front.open("a", "nobody")
    with pytest.raises(Unexpected, match="not-supported"):
        front.expect("ready", "a")
    front.open("b", "nobody")
    with pytest.raises(Unexpected, match="not-supported"):
        front.data("b", 1)
    front.open("c", "nobody")
    with pytest.raises(Unexpected, match="not-supported"):
        front.expect("close", "c", problem="terminated")


def test_the_end_of_the_bridge_fails_at_once(start: Start) -> None:
    bridge = start()
    bridge.signal(signal.SIGTERM)
    with pytest.raises(Unexpected, match="has ended"):
        bridge.front_end.expect("ready", "a")


def test_what_never_comes_is_a_hang() -> None:
    reader, writer = os.pipe()
    other_reader, other_writer = os.pipe()
    front = FrontEnd(writer, other_reader, seconds=0.01)
    with pytest.raises(Hang):
        front.expect("ready")
    with pytest.raises(Hang):
        front.write(b"x" * 1_000_000)
    front.hang_up()
    front.stop_listening()
    os.close(reader)
    os.close(other_writer)


def test_more_data_than_expected(start: Start) -> None:
    front = start().front_end
    front.open("a", "echo")
    front.send("a", b"hello")
    with pytest.raises(Unexpected, match="found 5"):
        front.data("a", 4)


def test_a_line_that_never_comes(home: Home) -> None:
    tail = Tail(home.root / "file")
    tail.path.write_text("one\ntwo\n")
    assert tail.wait("^t") == ["two"]
    with pytest.raises(Hang, match="three"):
        tail.wait("three", deadline=Deadline(0.01))


def test_frames() -> None:
    data = encode("a", b"hello") + encode("", b"{}") + encode("żółć", b"\n\n")
    frames = [Frame("a", b"hello"), Frame("", b"{}"), Frame("żółć", b"\n\n")]
    assert Decoder().feed(data) == frames
    decoder = Decoder()
    assert [frame for at in range(len(data)) for frame in decoder.feed(data[at : at + 1])] == frames
    for bad in (b"x\n", b"05\n", b"0\n", b"\n", b"123456789", b"1\na"):
        with pytest.raises(BrokenStream):
            Decoder().feed(bad)


def test_a_gate_may_be_released_before_anybody_waits(start: Start, gate: Callable[[], Gate]) -> None:
    early = gate()
    early.release()
    front = start(helper_rule(TEST, [wait(early), *GOOD])).front_end
    front.open("a")
    front.expect("ready", "a")
