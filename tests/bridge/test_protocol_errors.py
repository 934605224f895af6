"""What is no protocol ends the session with a last word (docs/protocol.md, "Frames" and "Control messages")."""

import json
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import flood, forever, helper_rule, init, serve

QUICK = {"exit_seconds": 1, "term_seconds": 0.2}
LIMITS = {**QUICK, "frame_bytes": 5_000, "control_bytes": 4_000, "channel_id_bytes": 100}


def control(payload: bytes) -> bytes:
    return encode("", payload)


def message(**members: Any) -> bytes:
    return control(json.dumps(members).encode())


LENGTHS = {
    "text": b"hello\n",
    "one letter": b"x",
    "an empty line": b"\n",
    "zero": b"0\n\n",
    "a sign": b"+5\na\nabc",
    "a minus": b"-5\na\nabc",
    "a leading zero": b"05\na\nabc",
    "a leading space": b" 5\na\nabc",
    "a trailing space": b"5 \na\nabc",
    "a carriage return": b"5\r\na\r\nabc",
    "hexadecimal": b"0x5\na\nabc",
    "digits of another script": b"\xd9\xa5\na\nabc",
    "a NUL": b"\0",
    "nine digits": b"100000000\n",
    "nine digits and no end": b"123456789",
    "above the limit": b"5001\na\n",
    "no channel": b"3\nabc",
    "a channel that does not end": b"300\n" + b"c" * 300,
    "a channel without an end beyond the limit": b"5000\n" + b"c" * 200,
    "a channel that is no text": b"4\n\xff\xfe\nx",
}

CONTROLS = {
    "nothing": control(b""),
    "no JSON": control(b"hello"),
    "half an object": control(b'{"command":"ping"'),
    "two objects": control(b'{"command":"ping"}{}'),
    "a list": control(b'["command","ping"]'),
    "a text": control(b'"ping"'),
    "null": control(b"null"),
    "no command": control(b"{}"),
    "command null": message(command=None),
    "command number": message(command=5),
    "channel empty": message(command="ping", channel=""),
    "channel null": message(command="ping", channel=None),
    "channel number": message(command="ping", channel=5),
    "no UTF-8": control(b'{"command":"ping","x":"\xff"}'),
    "a byte order mark": control(b'\xef\xbb\xbf{"command":"ping"}'),
    "nested without end": control(b'{"command":"ping","x":' + b"[" * 3_000),
    "above the limit": message(command="ping", x="x" * 4_500),
    "open without a channel": message(command="open", payload="echo"),
    "open of an open channel": message(command="open", channel="a", payload="echo"),
    "open of an id with a line feed": message(command="open", channel="x\ny", payload="echo"),
    "open of an id that is too long": message(command="open", channel="x" * 101, payload="echo"),
    "init without a version": message(command="init", host="localhost"),
    "init with version 2": message(command="init", version=2, host="localhost"),
    "init with version text": message(command="init", version="1", host="localhost"),
    "init without a host": message(command="init", version=1),
    "init with an empty host": message(command="init", version=1, host=""),
    "init with host null": message(command="init", version=1, host=None),
}

FIRST = {
    "data": encode("a", b"hello"),
    "open": message(command="open", channel="a", payload="echo"),
    "ping": message(command="ping"),
    "close": message(command="close", channel="a"),
    "an unknown command": message(command="no-such-command"),
    **{name: text for name, text in CONTROLS.items() if name.startswith("init ")},
    "init with version true": message(command="init", version=True, host="localhost"),
    "init with host number": message(command="init", version=1, host=5),
    "text": b"GET / HTTP/1.1\r\n\r\n",
}


def check_last_word(bridge: Bridge, offset: int) -> None:
    """One `init` with the problem is the last frame, and stderr says the same; all is gone, and the status is 1."""
    front = bridge.front_end
    last = front.expect("init", problem="protocol-error")
    assert bridge.wait() == 1
    assert f"byte {offset} " in last["message"]
    assert front.log[-1].message == last
    assert len([frame for frame in front.log if not frame.channel and frame.message["command"] == "init"]) == 2
    assert bridge.family == []
    text = bridge.log.text
    assert json.dumps(last["message"])[1:-1] in text or last["message"] in text
    assert "protocol-error" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("case", [*LENGTHS, *(f"control: {name}" for name in CONTROLS)])
def test_a_session_ends_with_a_last_word(start: Start, case: str) -> None:
    bad = CONTROLS[case.removeprefix("control: ")] if case.startswith("control: ") else LENGTHS[case]
    bridge = start(limits=LIMITS)
    front = bridge.front_end
    front.open("a", "echo")
    front.send("a", b"hello")
    offset = front.sent
    front.write(bad)
    check_last_word(bridge, offset)
    assert front.data_so_far("a") == b"hello"


@pytest.mark.parametrize("bad", [LENGTHS["text"], CONTROLS["no JSON"]], ids=["frame", "control"])
def test_helpers_are_gone(start: Start, bad: bytes) -> None:
    rules = [helper_rule({"payload": f"p{number}"}, [init(), serve({"close": []})]) for number in range(3)]
    bridge = start(*rules, helper_rule({"payload": "slow"}, [forever()]), limits=QUICK)
    front = bridge.front_end
    front.open("slow", "slow")
    for number in range(3):
        front.open(f"c{number}", f"p{number}")
        front.expect("ready", f"c{number}")
    helpers = bridge.children
    assert len(helpers) == 4
    offset = front.sent
    front.write(bad)
    check_last_word(bridge, offset)
    assert processes.wait_ended(helpers) == []


@pytest.mark.parametrize("case", FIRST)
def test_what_is_first_must_be_an_init(start: Start, case: str) -> None:
    bridge = start(handshake=False)
    bridge.front_end.write(FIRST[case])
    check_last_word(bridge, 0)


def test_what_comes_before_the_error_is_acted_on(start: Start) -> None:
    """In the same write: the offset is that of the bad frame, not of the write."""
    bridge = start()
    front = bridge.front_end
    good = message(command="open", channel="a", payload="echo") + encode("a", b"hello") * 10 + encode("none", b"x")
    offset = front.sent + len(good)
    front.write(good + b"oops\n" + encode("a", b"never") + message(command="ping"))
    check_last_word(bridge, offset)
    assert front.data_so_far("a") == b"hello" * 10
    assert all(frame.message["command"] != "pong" for frame in front.log if not frame.channel)


def test_an_error_far_into_the_stream(start: Start) -> None:
    bridge = start()
    front = bridge.front_end
    front.open("a", "null")
    for _ in range(40):
        front.send("a", b"x" * 100_000)
    offset = front.sent
    front.write(b"oops\n")
    check_last_word(bridge, offset)


def test_the_last_word_is_the_last(start: Start) -> None:
    """Though helpers have more to say: data without end, and an answer to the close of their channel."""
    last_words = [flood("$channel", 1_000, 200), ["answer"]]
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"close": last_words})]), limits=QUICK)
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    offset = front.sent
    front.write(b"oops\n")
    check_last_word(bridge, offset)


def test_a_front_end_that_gives_up(start: Start) -> None:
    """An error, and the end of the stream right after it: the last word is still said."""
    bridge = start()
    front = bridge.front_end
    front.sync()
    offset = front.sent
    front.write(b"oops\n")
    front.hang_up()
    check_last_word(bridge, offset)


ODD = {"huge": b"1e999", "tiny": b"-1E-999", "long": b"1" * 400, "twice": b'{"a":1,"a":2}'}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_grammatical_is_json(start: Start, odd: bytes) -> None:
    """And no protocol error, be it ever so odd: it passes as it came."""
    front = start(helper_rule({"payload": "test"}, [init(), serve({"open": [["echo"]]})])).front_end
    text = b'{"command":"open","channel":"a","payload":"test","x":%b}' % odd
    front.write(control(text))
    assert front.data("a", len(text)) == text
