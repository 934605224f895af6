"""The questions of a privileged helper during a start: `Prompt` and `Answer`."""

from typing import Any

from spanbridge.testing import processes
from spanbridge.testing.script import (
    Step,
    answer,
    exit_with,
    forever,
    init,
    note,
    note_message,
    read,
    send,
    serve,
    stderr,
    wait,
)

from .client import CANCELLED, ERROR, Prompt
from .site import Site

GOOD = [init(), serve()]
TYPED = "swordfish ß 🐟 \"'\\"


def ask(prompt: Any = "Password:", cookie: Any = "c1") -> Step:
    return send("authorize", cookie=cookie, challenge="plain1:", prompt=prompt)


def asks(prompt: Any = "Password:", cookie: Any = "c1") -> list[Step]:
    """Ask, and note the answer."""
    return [ask(prompt, cookie), read("authorize"), note_message(), note("answered")]


def test_a_question_is_a_prompt_and_the_answer_goes_back(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([*asks("Passwort für Jörg:"), *GOOD], "one"))
    started = superuser.begin("Start", "one")

    assert superuser.prompt() == Prompt("", "Passwort für Jörg:", "", False, "")
    assert superuser.current == "init"
    superuser.call("Answer", TYPED)

    superuser.outcome(started)
    assert superuser.current == "one"
    assert bridge.noted_messages == [{"command": "authorize", "cookie": "c1", "response": TYPED}]


def test_a_nul_in_what_is_asked(site: Site) -> None:
    """A string on the bus has none: there is another character in its place."""
    steps = [stderr("x\0y"), *asks("a\0b"), *GOOD]
    _, _, superuser = site.superuser(site.privileged(steps, "one"))
    started = superuser.begin("Start", "one")
    assert superuser.prompt() == Prompt("x\ufffdy", "a\ufffdb", "", False, "")
    superuser.call("Answer", TYPED)
    superuser.outcome(started)


def test_asks_twice(site: Site) -> None:
    """What it says before the first question is a greeting, after it the reason for the next."""
    steps = [
        *(stderr("We trust you have received"), stderr("the usual lecture"), *asks("First:", "c1")),
        *(stderr("Sorry, try again."), *asks("Second:", "c2")),
        *GOOD,
    ]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"))
    started = superuser.begin("Start", "one")

    lecture = "We trust you have received\nthe usual lecture"
    assert superuser.prompt() == Prompt(lecture, "First:", "", False, "")
    superuser.call("Answer", "wrong")
    assert superuser.prompt() == Prompt("", "Second:", "", False, "Sorry, try again.")
    superuser.call("Answer", "right")

    superuser.outcome(started)
    told = [(message["cookie"], message["response"]) for message in bridge.noted_messages]
    assert told == [("c1", "wrong"), ("c2", "right")]


def test_a_start_that_fails_after_a_question_says_what_came_after_it(site: Site) -> None:
    steps = [stderr("the lecture"), *asks(), stderr("3 incorrect password attempts"), exit_with(1)]
    _, _, superuser = site.superuser(site.privileged(steps, "one"))
    started = superuser.begin("Start", "one")
    superuser.prompt()
    superuser.call("Answer", "wrong")

    assert superuser.failure(started).text == "3 incorrect password attempts"


def test_a_question_while_another_is_open_is_refused(site: Site) -> None:
    steps = [ask("First:", "c1"), *asks("Second:", "c2"), read("authorize"), note_message(), *GOOD]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"))
    started = superuser.begin("Start", "one")
    assert superuser.prompt().prompt == "First:"
    bridge.wait_note("answered")
    superuser.call("Answer", "yes")

    superuser.outcome(started)
    told = [(message["cookie"], message["response"]) for message in bridge.noted_messages]
    assert told == [("c2", ""), ("c1", "yes")]


def test_asks_after_its_init(site: Site) -> None:
    steps = [init(), serve({"open": [answer(), *asks("Again:", "late")]})]
    bridge, front, superuser = site.superuser(site.privileged(steps, "one"))
    superuser.call("Start", "one")

    front.open("c", superuser="require")

    assert superuser.prompt() == Prompt("", "Again:", "", False, "")
    superuser.call("Answer", "here")
    bridge.wait_note("answered")
    assert [message["response"] for message in bridge.noted_messages] == ["here"]


def test_dies_while_asking(site: Site) -> None:
    gate = site.gate()
    steps = [ask(), wait(gate), stderr("cannot wait"), exit_with(1)]
    _, _, superuser = site.superuser(site.privileged(steps, "one"), site.privileged([*asks(), *GOOD], "two"))
    started = superuser.begin("Start", "one")
    superuser.prompt()

    gate.release()

    assert superuser.failure(started).text == "cannot wait"
    error = superuser.fail("Answer", "too late")
    assert error.name == ERROR
    assert "no question is open" in error.text
    started = superuser.begin("Start", "two")
    superuser.prompt()
    superuser.call("Answer", "in time")
    superuser.outcome(started)


def test_an_answer_to_no_question_is_an_error(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"))

    assert superuser.fail("Answer", TYPED).name == ERROR
    superuser.call("Start", "one")
    error = superuser.fail("Answer", TYPED)
    assert error.name == ERROR
    assert TYPED not in error.text


def test_a_question_is_answered_once(site: Site) -> None:
    gate = site.gate()
    steps = [*asks(), wait(gate), *GOOD]
    bridge, _, superuser = site.superuser(site.privileged(steps, "one"))
    started = superuser.begin("Start", "one")
    superuser.prompt()
    superuser.call("Answer", "first")

    assert superuser.fail("Answer", "second").name == ERROR

    gate.release()
    superuser.outcome(started)
    assert [message["response"] for message in bridge.noted_messages] == ["first"]


def test_an_empty_answer_refuses(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([*asks(), stderr("no answer"), exit_with(1)], "one"))
    started = superuser.begin("Start", "one")
    superuser.prompt()

    superuser.call("Answer", "")

    assert superuser.failure(started).text == "no answer"
    assert [message["response"] for message in bridge.noted_messages] == [""]


def test_a_stop_while_it_asks(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged([*asks(), *GOOD], "one"))
    started = superuser.begin("Start", "one")
    superuser.prompt()

    superuser.call("Stop")

    assert superuser.failure(started).name == CANCELLED
    assert superuser.fail("Answer", "too late").name == ERROR
    assert superuser.current == "none"


def test_people_type_slowly(site: Site) -> None:
    """The time for the start does not count while a question is open. The next helper's whole life is the clock."""
    _, front, superuser = site.superuser(
        site.privileged([*asks(), *GOOD], "one"),
        site.helper({"payload": "slow"}, [forever()]),
        limits={"handshake_seconds": 0.5, "exit_seconds": 0.1},
    )
    started = superuser.begin("Start", "one")
    superuser.prompt()
    front.open("c", "slow")
    assert "sent no init within 0.5 s" in front.expect("close", "c")["message"]

    superuser.call("Answer", TYPED)

    superuser.outcome(started)


def test_after_an_answer_the_time_counts_again(site: Site) -> None:
    steps = [*asks(), forever()]
    _, _, superuser = site.superuser(site.privileged(steps, "one"), limits={"handshake_seconds": 0.3})
    started = superuser.begin("Start", "one")
    superuser.prompt()
    superuser.call("Answer", TYPED)

    assert "sent no init" in superuser.failure(started).text


def test_a_front_end_that_goes_away_during_a_prompt_leaves_nothing_behind(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([ask(), forever()], "one"), limits={"exit_seconds": 0.2})
    superuser.begin("Start", "one")
    superuser.prompt()
    pids = bridge.children
    assert len(pids) == 1

    assert bridge.end() == 0

    assert processes.wait_ended(pids) == []


def test_a_channel_that_closes_during_a_prompt_leaves_the_question_open(site: Site) -> None:
    """A page that is loaded anew can stop the start, or answer."""
    bridge, front, superuser = site.superuser(site.privileged([*asks(), *GOOD], "one"))
    superuser.begin("Start", "one")
    superuser.prompt()
    front.close("superuser")
    again = type(superuser)(front, "again")

    again.call("Answer", "yes")

    again.wait_current("one")
    assert bridge.running


def test_a_question_that_is_malformed_is_asked_all_the_same(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([*asks(prompt=5, cookie=["c"]), *GOOD], "one"))
    started = superuser.begin("Start", "one")

    assert superuser.prompt() == Prompt("", "", "", False, "")
    superuser.call("Answer", "yes")

    superuser.outcome(started)
    assert bridge.running


def test_an_ordinary_helper_may_not_ask(site: Site) -> None:
    steps = [init(), serve({"open": [answer(), *asks()]})]
    bridge, front, superuser = site.superuser(site.helper({"payload": "test"}, steps))

    front.open("c")

    bridge.wait_note("answered")
    assert [message["response"] for message in bridge.noted_messages] == [""]
    assert superuser.fail("Answer", TYPED).name == ERROR


def test_what_waits_does_not_keep_the_answer_from_coming(site: Site) -> None:
    """A channel for which too much waits is closed, rather than the front end not read."""
    bridge, front, superuser = site.superuser(
        site.privileged([*asks(), *GOOD], "one"), limits={"helper_queue_bytes": 10_000}
    )
    started = superuser.begin("Start", "one")
    superuser.prompt()
    front.open("little", superuser="require")
    front.send("little", b"x" * 4_000)
    front.open("much", superuser="try")

    for _ in range(10):
        front.send("much", b"x" * 4_000)
    front.open("long", superuser="require", text="x" * 6_000)

    for channel in ("much", "long"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "internal-error"
        assert "helper_queue_bytes" in closed["message"]
    assert len(bridge.log.matches("limit name=helper_queue_bytes")) == 2
    superuser.call("Answer", TYPED)
    superuser.outcome(started)
    front.expect("ready", "little")
    assert front.data("little", 4_000) == b"x" * 4_000
    front.open("much", superuser="require")
    front.expect("ready", "much")


def test_an_answer_that_is_malformed_is_not_repeated_in_the_log(site: Site) -> None:
    word = "swordfish-5"
    bridge, front, superuser = site.superuser(site.privileged([*asks(), *GOOD], "one"), arguments=["--debug"])
    started = superuser.begin("Start", "one")
    superuser.prompt()

    for arguments in ([[word]], [word, word], [{word: word}], []):
        assert superuser.fail("Answer", *arguments).name == "org.freedesktop.DBus.Error.InvalidArgs"
    for response in (word, [word], {word: word}):
        front.control("authorize", cookie="superuser-1", response=response)
        front.control("authorize", cookie=[word], response=response)
    superuser.call("Answer", word)

    superuser.outcome(started)
    assert bridge.end() == 0
    assert word not in bridge.log.text
