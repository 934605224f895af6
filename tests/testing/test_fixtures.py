"""The fixtures, used directly."""

import signal
from collections.abc import Callable

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.gate import Gate
from spanbridge.testing.script import delay, die, exit_with, init, note, read, ready, reply, serve, wait
from spanbridge.testing.scripted import FakeHelpers
from spanbridge.testing.start import Start, command_of


def test_a_helper_without_a_script_sends_data_back(fake_helper: FakeHelpers, front_end: FrontEnd) -> None:
    fake_helper("test")
    front_end.open("a")
    front_end.expect("ready", "a")
    front_end.send("a", b"hello")
    assert front_end.data("a", 5) == b"hello"


def test_several_helpers_have_notes_of_their_own(fake_helper: FakeHelpers, front_end: FrontEnd) -> None:
    noting = [init(), serve({"data": [note("data"), reply(b"ok")]})]
    one, two = fake_helper("one", noting), fake_helper({"payload": "two", "tag": "x*"}, noting)
    front_end.open("a", "one")
    front_end.open("b", "two", tag="xyz")
    front_end.open("c", "two", tag="abc")
    front_end.expect("close", "c", problem="not-supported")
    for channel, count in (("a", 1), ("b", 2)):
        for _ in range(count):
            front_end.send(channel, b"?")
            assert front_end.data(channel, 2) == b"ok"
    assert [note["channel"] for note in one.notes] == ["a"]
    assert [note["channel"] for note in two.wait_note("data", 2)] == ["b", "b"]
    assert (one.name, two.name) == ("fake-1", "fake-2")


def test_arguments_and_members_of_the_rule(fake_helper: FakeHelpers, front_end: FrontEnd) -> None:
    fake_helper("test", [init(), serve()], "${tag}", environ=["TAG=${tag}"])
    fake_helper("none", [exit_with(1)], problem="access-denied")
    for channel, tag in (("a", "x"), ("b", "y")):
        front_end.open(channel, tag=tag)
        told = front_end.expect("ready", channel)
        assert told["argv"] == ["fake-1", tag]
        assert told["environ"]["TAG"] == tag
    front_end.open("c", "none")
    front_end.expect("close", "c", problem="access-denied")


def test_delays_and_deaths(fake_helper: FakeHelpers, front_end: FrontEnd, spanbridge_gate: Callable[[], Gate]) -> None:
    gate = spanbridge_gate()
    fake_helper("test", [init(), read("open"), wait(gate), delay(0.001), ready(), read("data"), die(signal.SIGSEGV)])
    front_end.open("a")
    front_end.sync()
    assert front_end.of("a") == []
    gate.release()
    front_end.expect("ready", "a")
    front_end.send("a", b"go")
    assert "SIGSEGV" in front_end.expect("close", "a", problem="terminated")["message"]


def test_packages_that_are_added_while_it_runs(bridge: Bridge, front_end: FrontEnd) -> None:
    front_end.open("a", "late")
    front_end.expect("close", "a", problem="not-supported")
    directory = bridge.package("late", {"match": {"payload": "late"}, "spawn": ["false"], "problem": "no-session"})
    assert (directory / "manifest.json").exists()
    front_end.open("a", "late")
    front_end.expect("close", "a", problem="no-session")


def test_one_bridge_for_a_module(spanbridge_start_shared: Start) -> None:
    first, second = spanbridge_start_shared(), spanbridge_start_shared()
    assert first.pid != second.pid
    assert first.home is second.home


class TestOptions:
    @pytest.fixture
    def spanbridge_options(self) -> dict[str, object]:
        return {"limits": {"channels": 1}, "arguments": ["--debug=open"], "environ": {"LANG": "C"}}

    @pytest.fixture
    def spanbridge_packages(self) -> dict[str, object]:
        return {"mine": {"bridges": [{"match": {"payload": "mine"}, "spawn": ["false"], "problem": "no-host"}]}}

    def test_they_are_those_of_the_bridge(self, bridge: Bridge, front_end: FrontEnd) -> None:
        assert bridge.environ["LANG"] == "C"
        assert bridge.environ["SPANBRIDGE_CHANNELS"] == "1"
        front_end.open("a", "mine")
        front_end.expect("close", "a", problem="no-host")
        assert bridge.log.matches("debug")


def test_words_of_a_command() -> None:
    assert command_of("sh -c 'exec it'")[1:] == ["-c", "exec it"]
    with pytest.raises(ValueError, match="quotation"):
        command_of("'")
    with pytest.raises(ValueError, match="no-such-bridge: no such command"):
        command_of("no-such-bridge --option")
