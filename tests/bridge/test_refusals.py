"""A rule without a command refuses what it matches: that is how a site forbids a payload."""

from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve


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
