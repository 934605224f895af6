"""A rule without a command refuses what it matches: that is how a site forbids a payload."""

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
