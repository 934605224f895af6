"""To be added to tests/bus/test_objects.py once pool.py leaves the variable out."""


def test_helpers_do_not_get_the_number(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]), environ={MEMFD: "9"})
    bridge.front_end.open("a")
    assert MEMFD not in bridge.front_end.expect("ready", "a")["environ"]
