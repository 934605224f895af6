"""An open like the one before it takes a short way: it must lead where the long one does."""

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, helper_rule, init, serve


def test_a_variable_that_is_the_channel(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()], "${channel}"))
    front = bridge.front_end
    pids = set()
    for ident in ("a", "b", "c"):
        front.control("open", channel=ident, payload="test")
        ready = front.expect("ready", ident)
        assert ready["argv"] == [ident]
        pids.add(ready["pid"])
    assert len(pids) == 3


def test_a_rule_that_matches_by_channel(start: Start) -> None:
    bridge = start(
        helper_rule({"channel": "vip*"}, [init(), serve()], "vip"), helper_rule({"payload": "test"}, [init(), serve()])
    )
    front = bridge.front_end
    for ident, expected in (("a", []), ("b", []), ("vip1", ["vip"]), ("c", []), ("vip2", ["vip"])):
        front.control("open", channel=ident, payload="test")
        assert front.expect("ready", ident)["argv"] == expected


def test_true_and_one_are_not_the_same(start: Start) -> None:
    bridge = start(
        helper_rule({"payload": "test", "n": 1}, [init(), serve()], "one"),
        helper_rule({"payload": "test", "n": True}, [init(), serve()], "true"),
        helper_rule({"payload": "test", "n": "1"}, [init(), serve()], "text"),
    )
    front = bridge.front_end
    for ident, value, expected in (("a", "1", "text"), ("b", 1, "one"), ("c", True, "true"), ("d", "1", "text")):
        front.control("open", channel=ident, payload="test", n=value)
        assert front.expect("ready", ident)["argv"] == [expected]


def test_the_helper_has_died(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": [exit_with(1)]})]))
    front = bridge.front_end
    pids = []
    for ident in ("a", "b"):
        front.control("open", channel=ident, payload="test")
        pids.append(front.expect("ready", ident)["pid"])
        front.send(ident, b"die")
        front.expect("close", ident, problem="terminated")
    assert pids[0] != pids[1]


def test_the_rules_have_changed(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()], "old"))
    front = bridge.front_end
    front.control("open", channel="a", payload="test")
    assert front.expect("ready", "a")["argv"] == ["old"]
    home.package("test", helper_rule({"payload": "test"}, [init(), serve()], "new"))
    bridge.reload()
    front.control("open", channel="b", payload="test")
    assert front.expect("ready", "b")["argv"] == ["new"]


def test_kill_by_group_knows_them_all(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]))
    front = bridge.front_end
    for ident in ("a", "b", "c"):
        front.control("open", channel=ident, payload="test", group="g")
        front.expect("ready", ident)
    front.control("kill", group="g")
    for ident in ("a", "b", "c"):
        front.expect("close", ident, problem="terminated")
