"""A channel that the front end closes, and an id that it opens again (docs/protocol.md, "Helpers")."""

from collections.abc import Callable

from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    answer,
    data,
    exit_with,
    helper_rule,
    init,
    note_message,
    read,
    ready,
    send,
    serve,
    wait,
)

TEST = {"payload": "test"}


def test_the_helper_gets_the_close_with_all_its_members(start: Start) -> None:
    bridge = start(helper_rule(TEST, [init(), serve({"close": [note_message(), answer()]})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.close("a", problem="some-problem", message="why", more=[1, {"x": None}])
    assert front.expect("close", "a") == {"command": "close", "channel": "a"}
    assert bridge.noted_messages == [
        {
            "command": "close",
            "channel": "a",
            "problem": "some-problem",
            "message": "why",
            "more": [1, {"x": None}],
        }
    ]


def test_its_answer_is_passed_on_once_with_all_its_members(start: Start) -> None:
    answered = send("close", channel="$channel", problem="not-found", extra=1)
    front = start(helper_rule(TEST, [init(), serve({"close": [answered]})])).front_end
    front.open("a")
    front.open("b")
    front.expect("ready", "b")
    front.close("a")
    closed = front.expect("close", "a")
    assert (closed["problem"], closed["extra"]) == ("not-found", 1)
    front.round_trip("b")
    assert front.commands("a") == ["ready", "close"]


def test_late_data_of_a_closed_channel_is_dropped(start: Start) -> None:
    last_words = [data("a", b"late"), send("done", channel="a"), send("ping", channel="a"), answer()]
    front = start(helper_rule(TEST, [init(), serve({"close": last_words})])).front_end
    front.open("a")
    front.expect("ready", "a")
    front.close("a")
    front.expect("close", "a")
    assert front.commands("a") == ["ready", "close"]


def test_data_after_a_close_is_dropped(start: Start) -> None:
    """From either side: a channel is over when either has closed it."""
    front = start(helper_rule(TEST, [init(), serve({"data": [send("close", channel="a")]})])).front_end
    front.open("a")
    front.open("b")
    front.expect("ready", "b")
    front.send("a", b"go")
    front.expect("close", "a")
    front.send("a", b"too late")
    front.control("done", channel="a")
    front.close("a")
    front.round_trip("b")
    assert front.commands("a") == ["ready", "close"]


def test_an_id_that_is_used_again_waits_for_the_answer(start: Start, gate: Callable[[], Gate]) -> None:
    """The late answer ends the old channel alone; all that was sent on the new one reaches the helper in order."""
    late = gate()
    front = start(helper_rule(TEST, [init(), serve({"close": [wait(late), data("a", b"old"), answer()]})])).front_end
    front.open("a", number=1)
    front.expect("ready", "a")
    front.close("a")
    front.open("a", number=2)
    front.send("a", b"one ")
    front.control("options", channel="a", x=1)
    front.send("a", b"two")
    front.sync()
    assert front.pending == []
    late.release()
    assert front.expect("ready", "a")["open"]["number"] == 2
    assert front.data("a", 7) == b"one two"
    front.round_trip("a")
    assert front.commands("a") == ["ready", "ready", "data", "data", "pong"]


def test_the_answer_that_is_not_waited_for_any_longer(start: Start) -> None:
    """A helper that never answers: the new channel is its own after the time that is set."""
    rule = helper_rule(TEST, [init(), serve({"close": []})])
    front = start(rule, limits={"close_answer_seconds": 0.1}).front_end
    front.open("a", number=1)
    front.expect("ready", "a")
    front.close("a")
    front.open("a", number=2)
    front.send("a", b"hello")
    assert front.expect("ready", "a")["open"]["number"] == 2
    assert front.data("a", 5) == b"hello"


def test_a_reused_id_that_is_closed_again_before_the_answer(start: Start, gate: Callable[[], Gate]) -> None:
    """The helper never hears of the second channel; its answer for the first is passed on, as the id is unused."""
    late = gate()
    front = start(helper_rule(TEST, [init(), serve({"close": [wait(late), answer()]})])).front_end
    front.open("a", number=1)
    front.open("b")
    front.expect("ready", "a")
    front.close("a")
    front.open("a", number=2)
    front.close("a")
    front.sync()
    late.release()
    front.expect("close", "a")
    front.round_trip("b")
    assert front.commands("a") == ["ready", "close"]


def test_an_id_that_goes_to_another_helper_does_not_wait(start: Start, gate: Callable[[], Gate]) -> None:
    """The old helper's answer comes to a channel that is not its own any more: it is not passed on."""
    late = gate()
    front = start(
        helper_rule({"payload": "old"}, [init(), serve({"close": [wait(late), answer()]})]),
        helper_rule({"payload": "new"}, [init(), serve()]),
    ).front_end
    front.open("a", "old")
    front.open("b", "old")
    front.expect("ready", "a")
    front.expect("ready", "b")
    front.close("a")
    front.open("a", "new")
    front.expect("ready", "a")
    late.release()
    front.round_trip("b")
    front.send("a", b"mine")
    assert front.data("a", 4) == b"mine"
    assert front.commands("a") == ["ready", "ready", "data"]


def test_an_id_that_goes_to_an_internal_payload_does_not_wait(start: Start, gate: Callable[[], Gate]) -> None:
    late = gate()
    front = start(helper_rule(TEST, [init(), serve({"close": [wait(late), answer()]})])).front_end
    front.open("a")
    front.open("b")
    front.expect("ready", "a")
    front.expect("ready", "b")
    front.close("a")
    front.open("a", "echo")
    front.expect("ready", "a")
    late.release()
    front.round_trip("b")
    front.send("a", b"mine")
    assert front.data("a", 4) == b"mine"
    assert front.commands("a") == ["ready", "ready", "data"]


def test_the_answer_is_not_passed_on_after_another_life_of_the_id(start: Start, gate: Callable[[], Gate]) -> None:
    """Be that life over, or never begun: the front end would take it for the end of a third one."""
    late = gate()
    front = start(helper_rule(TEST, [init(), serve({"close": [wait(late), answer()]})])).front_end
    for channel in ("refused", "served", "last"):
        front.open(channel)
        front.expect("ready", channel)
    for channel, payload in (("refused", "nobody"), ("served", "echo")):
        front.close(channel)
        front.open(channel, payload)
    assert front.expect("close", "refused")["problem"] == "not-supported"
    front.expect("ready", "served")
    front.close("served")
    front.sync()
    late.release(2)
    front.round_trip("last")
    assert front.commands("refused") == ["ready", "close"]
    assert front.commands("served") == ["ready", "ready", "close"]  # that of the second life


def test_a_helper_that_ends_before_it_answers(start: Start) -> None:
    """The front end closed the channel itself and is not told again; an open that waited starts another helper."""
    steps = [init(), read("open"), ready(), read("close"), exit_with(3)]
    front = start(helper_rule(TEST, steps)).front_end
    front.open("a", number=1)
    first = front.expect("ready", "a")
    front.close("a")
    front.open("a", number=2)
    second = front.expect("ready", "a")
    assert second["open"]["number"] == 2
    assert second["pid"] != first["pid"]
    assert front.commands("a") == ["ready", "ready"]


def test_both_close_at_once(start: Start, gate: Callable[[], Gate]) -> None:
    """The helper's own close is already on its way when it gets the front end's: it is passed on once."""
    go = gate()
    steps = [init(), serve({"data": [wait(go), send("close", channel="a", problem="not-found")], "close": []})]
    front = start(helper_rule(TEST, steps)).front_end
    front.open("a")
    front.open("b")
    front.expect("ready", "b")
    front.send("a", b"go")
    front.close("a")
    front.sync()
    go.release()
    assert front.expect("close", "a")["problem"] == "not-found"
    front.round_trip("b")
    assert front.commands("a") == ["ready", "close"]
