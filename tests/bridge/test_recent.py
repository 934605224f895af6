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
    for number in range(2):
        idents = [f"{number}{name}" for name in "abc"]
        for ident in idents:
            front.control("open", channel=ident, payload="test")
            pids.append(front.expect("ready", ident)["pid"])
        front.send(idents[0], b"die")
        for ident in idents:
            front.expect("close", ident, problem="terminated")
    assert pids[0] == pids[2] != pids[3] == pids[5]


def test_the_rules_have_changed(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()], "old"))
    front = bridge.front_end
    for ident in ("x", "y", "a"):
        front.control("open", channel=ident, payload="test")
        assert front.expect("ready", ident)["argv"] == ["old"]
    home.package("test", helper_rule({"payload": "test"}, [init(), serve()], "new"))
    bridge.reload()
    front.control("open", channel="b", payload="test")
    assert front.expect("ready", "b")["argv"] == ["new"]


def test_any_channel_id(start: Start) -> None:
    """Some are written with escapes, or look like what is around them."""
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]))
    front = bridge.front_end
    for ident in ("a", "b", "payload", "test", ",", ":", 'q"', "\\", "\u00e9", "\u2028", " ", "4!1:3", "c" * 256, "d"):
        front.control("open", channel=ident, payload="test")
        assert front.expect("ready", ident)["open"] == {"command": "open", "channel": ident, "payload": "test"}
        front.round_trip(ident)


def test_an_id_that_is_open(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]))
    front = bridge.front_end
    for ident in ("a", "b", "c"):
        front.open(ident)
        front.expect("ready", ident)
    front.open("b")
    assert front.expect("init")["problem"] == "protocol-error"


def test_kill_by_group_knows_them_all(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]))
    front = bridge.front_end
    for ident in ("a", "b", "c"):
        front.control("open", channel=ident, payload="test", group="g")
        front.expect("ready", ident)
    front.control("kill", group="g")
    for ident in ("a", "b", "c"):
        front.expect("close", ident, problem="terminated")
