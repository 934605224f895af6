"""Control messages between the front end and the bridge (docs/protocol.md, "Control messages")."""

import json
from typing import Any

from spanbridge.testing.frames import encode
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import answer, data, echo, helper_rule, init, note_message, send, serve

TEST = {"payload": "test"}
GOOD = [init(), serve()]


def test_the_bridge_says_init_at_once(home: Home, start: Start) -> None:
    """Without waiting for the front end, and with nothing before it."""
    home.package("one", helper_rule(TEST, GOOD))
    home.package("two")
    bridge = start(handshake=False)
    bridge.front_end.expect("init")
    message = bridge.front_end.log[0].message
    assert message["version"] == 1
    assert sorted(message["packages"]) == ["one", "two"]
    assert "problem" not in message


def test_its_init_tells_of_the_system(start: Start) -> None:
    """With `capabilities` and `os-release`, as a front end knows it."""
    message = start(handshake=False).front_end.expect("init")
    assert isinstance(message["capabilities"], dict)
    assert message["os-release"]["ID"]


PINGS: list[dict[str, Any]] = [
    {},
    {"cookie": "x"},
    {"a": None, "b": True, "c": [1, {"d": []}], "e": {}, "": "empty"},
    {"żółć": '日本 🌍 \u0000 " \\ \u2028'},
    {"large": 12345678901234567890, "larger": 123456789012345678901234567890, "negative": -9223372036854775808},
    {"fraction": 0.1, "exponent": 1e300, "tiny": 5e-324, "minus": -0.5},
]


def test_ping_is_answered_with_all_its_members(start: Start) -> None:
    front = start().front_end
    for members in PINGS:
        front.message({"command": "ping", **members})
        assert front.expect("pong") == {"command": "pong", **members}


def test_ping_goes_one_hop(start: Start) -> None:
    """Without a channel no helper sees it."""
    bridge = start(helper_rule(TEST, [init(), serve({"ping": [note_message(), send("pong", channel="a")]})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.sync()
    front.control("ping", channel="a")
    front.expect("pong", "a")
    assert bridge.noted_messages == [{"command": "ping", "channel": "a"}]


def test_ping_of_a_channel_that_nobody_has(start: Start) -> None:
    front = start().front_end
    front.control("ping", channel="nobody")
    front.sync()
    assert front.pending == []


def test_commands_that_mean_nothing_to_it(start: Start) -> None:
    """Ignored: nobody is told, and nothing ends."""
    commands = ["hint", "logout", "pong", "ack", "ready", "no-such-command", "superuser-init-done", ""]
    bridge = start(helper_rule(TEST, [init(), serve({command: [note_message()] for command in commands})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    for command in commands:
        front.control(command, version=7, host=5, problem="x", cookie="x", disconnect=True)
    front.sync()
    front.round_trip("a")
    assert front.commands("a") == ["ready", "pong"]
    assert front.pending == []
    assert bridge.notes == []


def test_what_is_for_a_channel_that_is_not_open_is_dropped(start: Start) -> None:
    """Races make this normal. Neither a helper nor the front end hears of it."""
    bridge = start(helper_rule(TEST, [init(), serve({"data": [note_message()], "options": [note_message()]})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("b", b"hello")
    for command in ("done", "close", "options", "ready", "ping", "no-such-command"):
        front.control(command, channel="b")
    front.round_trip("a")
    front.sync()
    assert bridge.notes == []
    assert front.pending == []


def test_a_later_init_changes_nothing(start: Start) -> None:
    """It is legal, and the host stays."""
    front = start(helper_rule(TEST, GOOD)).front_end
    front.init("other.example.com")
    front.open("a", host="localhost")
    front.expect("ready", "a")
    front.open("b", host="-other")
    assert front.expect("close", "b")["problem"] == "no-host"


def test_a_helper_s_later_init_without_a_problem(start: Start) -> None:
    steps = [send("init", version=1), send("init", version=5, host="x", problem=None), echo()]
    front = start(helper_rule(TEST, [init(), serve({"data": steps})])).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"hello")
    assert front.data("a", 5) == b"hello"
    front.sync()
    assert front.pending == []


UNTOUCHED = [
    b'{"command":"open","channel":"a","payload":"test","x":[1.0,1e2,"\\u0041"],"x":2}',
    b'  { "payload" : "test" ,\n"channel":"a" , "command":"open","big":1234567890123456789012345678901234567890 }\n',
    '{"command":"open","channel":"a","payload":"test","żółć":"日本","host":"localhost"}'.encode(),
]


def test_what_is_forwarded_is_the_bytes_that_came(start: Start) -> None:
    """Unknown members, spaces, escapes and numbers stay as they were."""
    steps = [init(), serve({"open": [echo()], "options": [echo()], "close": [answer()]})]
    front = start(helper_rule(TEST, steps)).front_end
    for text in UNTOUCHED:
        for command in (b'"open"', b'"options"'):
            told = text.replace(b'"open"', command)
            front.write(encode("", told))
            assert front.data("a", len(told)) == told
        front.close("a")
        front.expect("close", "a")


def test_what_comes_from_a_helper_is_the_bytes_that_came(start: Start) -> None:
    text = b' {"x" : 1.0, "command":"ready","channel":"a", "y":"\\u00e9", "y":[]}  '
    raw = ["raw", encode("", text).decode("latin-1")]
    front = start(helper_rule(TEST, [init(), serve({"open": [raw]})])).front_end
    front.open("a")
    front.expect("ready", "a")
    assert front.log[-1].payload == text


def test_commands_for_a_channel_pass_to_its_helper(start: Start) -> None:
    commands = ["done", "options", "ready", "ack", "pong", "no-such-command"]
    bridge = start(helper_rule(TEST, [init(), serve({command: [note_message()] for command in commands})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    for command in commands:
        front.control(command, channel="a", more={"x": [1]})
    front.round_trip("a")
    assert bridge.noted_messages == [{"command": command, "channel": "a", "more": {"x": [1]}} for command in commands]


def test_commands_for_a_channel_pass_to_the_front_end(start: Start) -> None:
    commands = ["ready", "done", "ack", "ping", "pong"]
    steps = [send(command, channel="$channel", bytes=5, more={"x": [1]}) for command in commands]
    front = start(helper_rule(TEST, [init(), serve({"data": steps})])).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    for command in commands:
        assert front.expect(command, "a") == {"command": command, "channel": "a", "bytes": 5, "more": {"x": [1]}}
    assert front.commands("a") == ["ready", *commands]


def test_flow_control_is_between_the_two_ends(start: Start) -> None:
    front = start(
        helper_rule(TEST, [init(), serve({"data": [send("ack", channel="$channel", bytes=5), echo()]})])
    ).front_end
    front.open("a", flow_control=True, send_acks="bytes")
    opened = front.expect("ready", "a")["open"]
    assert (opened["flow-control"], opened["send-acks"]) == (True, "bytes")
    front.send("a", b"hello")
    assert front.expect("ack", "a")["bytes"] == 5
    assert front.data("a", 5) == b"hello"
    front.sync()
    assert front.pending == []


def test_the_order_of_data_and_control_is_kept(start: Start) -> None:
    front = start(
        helper_rule(TEST, [init(), serve({"options": [send("ack", channel="$channel"), data("a", b"!")]})])
    ).front_end
    front.open("a")
    for _ in range(20):
        front.send("a", b".")
        front.control("options", channel="a")
    front.round_trip("a")
    assert front.commands("a") == ["ready", *["data", "ack", "data"] * 20, "pong"]
    assert front.data_so_far("a") == b".!" * 20


IDS = ["a", "0", "a b", " ", "\t", "\r", "\0", "a:b!1", "żółć", "🌍", '"', "\\", "{}", "x" * 8_000, "1" * 9]


def test_ids_of_any_kind(start: Start) -> None:
    """Any text without a line feed, up to a length."""
    front = start(helper_rule(TEST, GOOD)).front_end
    for ident in IDS:
        front.open(ident)
        front.send(ident, ident.encode())
    for ident in IDS:
        front.expect("ready", ident)
        assert front.data(ident, len(ident.encode())) == ident.encode()
    for ident in IDS:
        front.close(ident)
        front.expect("close", ident)


def test_an_open_with_thousands_of_members(start: Start) -> None:
    front = start(helper_rule(TEST, [init(), serve({"open": [["ready", {"environ": {}}]]})])).front_end
    members = {f"member-{number}": number for number in range(5_000)}
    front.message({"command": "open", "channel": "a", "payload": "test", **members})
    opened = front.expect("ready", "a")["open"]
    assert json.dumps(opened).count("member-") == 5_000
