"""A rule without a command refuses what it matches: that is how a site forbids a payload."""

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, helper_rule, init, serve


def test_it_refuses_what_it_matches(start: Start) -> None:
    """What the bridge would serve itself, what another rule would, and other hosts."""
    bridge = start(
        {"match": {"payload": "echo"}, "problem": "access-denied"},
        {"match": {"host": "secret*"}, "problem": "no-host"},
        {"match": {"tag": "forbidden"}, "problem": "made up"},
        helper_rule({"payload": "test"}, [init(), serve()]),
    )
    front = bridge.front_end
    for members, problem in (
        ({"payload": "echo"}, "access-denied"),
        ({"payload": "test", "host": "secret.example"}, "no-host"),
        ({"payload": "test", "tag": "forbidden"}, "made up"),
    ):
        front.open("a", **members)
        closed = front.expect("close", "a")
        assert closed["problem"] == problem
        assert "test/bridges[" in closed["message"]
    front.open("a", tag="allowed")
    front.expect("ready", "a")


def test_an_open_that_nobody_serves_is_one_line_of_the_log(start: Start) -> None:
    """It names every bridge that was tried and how it failed, as the close does."""
    bridge = start(
        helper_rule({"payload": "test"}, [exit_with(3)]),
        helper_rule({"payload": "test"}, [exit_with(4)]),
        helper_rule({"payload": "test", "last": "rule"}, [exit_with(5)], problem="not-found"),
    )
    front = bridge.front_end
    front.open("a")
    closed = front.expect("close", "a")
    assert closed["problem"] == "not-supported"
    front.open("b", last="rule")
    last = front.expect("close", "b")
    assert last["problem"] == "not-found"
    for message, statuses in ((closed["message"], (3, 4)), (last["message"], (3, 4, 5))):
        for position, status in enumerate(statuses):
            assert f"test/bridges[{position}]" in message
            assert f"status {status}" in message
    front.sync()
    (line,) = bridge.log.matches("nobody-serves")
    assert "test/bridges[1]" in line


def test_who_would_nearly_have_served_an_open(start: Start) -> None:
    """The close and the log name it, as `spanbridge explain` does, and nothing that the open has."""
    bridge = start(
        {"match": {"payload": "near", "tag": "x", "n": 1, "secret": "?"}, "spawn": ["/bin/cat"]},
        {"match": {"payload": "left-out", "tag": "x"}, "spawn": ["/bin/cat"], "timeout": "5"},
    )
    front = bridge.front_end
    for members, told in (
        ({"payload": "near", "tag": "x", "secret": "hunter2"}, "test/bridges[0], all of which matches but n, secret"),
        ({"payload": "left-out", "tag": "x"}, "bridges[1].timeout"),
        ({"payload": "neat"}, "there is a payload 'near'"),
        ({"payload": "strem"}, "there is a payload 'stream'"),
    ):
        front.open("a", **members)
        message = front.expect("close", "a")["message"]
        assert told in message
        assert "hunter2" not in message
        front.sync()
        assert told in bridge.log.matches("nobody-serves")[-1]


@pytest.mark.parametrize(
    "members",
    [
        {"payload": {"password": "hunter2"}},
        {"payload": "x" * 100 + "hunter2"},
        {"payload": "echo", "host": ["hunter2"]},
        {"payload": "echo", "host": "+hunter2+hunter2"},
        {"payload": "http-stream2", "internal": ["hunter2"]},
    ],
)
def test_what_is_refused_is_not_quoted(start: Start, members: dict[str, object]) -> None:
    """An option may hold a password: of a text no more than the beginning is told, of all else the kind."""
    bridge = start(environ={"SPANBRIDGE_DEBUG": "all"})
    bridge.front_end.message({"command": "open", "channel": "a", **members})
    assert "hunter2" not in str(bridge.front_end.expect("close", "a"))
    bridge.front_end.sync()
    assert not bridge.log.matches("hunter2")


def test_what_may_refuse_and_cannot_be_read_is_an_error_of_the_log(start: Start, home: Home) -> None:
    """An override whatever it says, a manifest where it mentions a problem; and whoever is refused for it is told."""
    home.package("good", {"match": {"payload": "x"}, "problem": "access-denied"})
    for name, text in (
        ("refuses", '{"bridges": [{"match": {}, "problem": "access-denied"}'),
        ("serves", '{"bridges": ['),
    ):
        (home.package(name) / "manifest.json").write_text(text)
    misspelt = {"match": {"payload": "y"}, "Problem": "access-denied"}
    for directory in (home.config_home, home.config_dir):
        (directory / "cockpit").mkdir(parents=True, exist_ok=True)
        (directory / "cockpit/good.override.json").write_text('{"bridges": [')
    bridge = start(misspelt)
    front = bridge.front_end
    front.open("a", "nonesuch")
    assert "left out for a mistake" in front.expect("close", "a")["message"]
    errors, warnings = bridge.log.matches("error: manifest"), bridge.log.matches("warning: manifest")
    assert sum("good.override.json" in line for line in errors) == 2
    assert sum("refuses/manifest.json" in line for line in errors) == 1
    assert sum("the bridge is left out, and refuses nothing with its problem" in line for line in errors) == 1
    assert len(errors) == 4
    assert [("serves/manifest.json" in line) for line in warnings] == [True]


def test_a_refusal_of_a_helper_that_is_long(start: Start) -> None:
    """Its further members are left out, and the log says so; a short one is passed on whole."""
    most = 300
    said = {"problem": "access-denied", "message": "closed on Mondays"}
    bridge = start(
        helper_rule({"payload": "test", "tag": "long"}, [init(**said, more="x" * most), exit_with(0)]),
        helper_rule({"payload": "test", "tag": "short"}, [init(**said, more="x"), exit_with(0)]),
        limits={"refusal_bytes": most},
    )
    front = bridge.front_end
    front.open("a", tag="short")
    closed = front.expect("close", "a", problem="access-denied")
    assert closed["more"] == "x"
    assert "closed on Mondays" in closed["message"]
    assert not bridge.log.matches("refusal_bytes")
    front.open("a", tag="long")
    closed = front.expect("close", "a", problem="access-denied")
    assert "more" not in closed
    assert "closed on Mondays" in closed["message"]
    assert bridge.log.wait(f"limit name=refusal_bytes value={most} ")
