"""A front end that means harm: a clear protocol error, or a clean close where the session lives; memory stays bounded.

What is no frame and no control message at all is in test_protocol_errors; what values become is in test_variables.
"""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, note_message, serve

MIB = 1 << 20
GOOD = [init(), serve()]
TEST = {"payload": "test"}
QUICK = {"exit_seconds": 0.5, "term_seconds": 0.2}


def open_with(members: bytes) -> bytes:
    return encode("", b'{"command":"open","channel":"b","payload":"nobody"' + members + b"}")


def distinct(count: int) -> bytes:
    """So many members, each of a name of its own."""
    return b"".join(b',"%x":0' % number for number in range(count))


# Those that end the session

FATAL: dict[str, Callable[[], bytes]] = {
    "100 MB without a line feed": lambda: b"x" * 100_000_000,
    "100 MB of digits": lambda: b"1" * 100_000_000,
    "100 MB of line feeds": lambda: b"\n" * 100_000_000,
    "an id without an end": lambda: b"99999999\n" + b"x" * 20_000_000,
    "a control message that is too long": lambda: b"99999999\n\n" + b" " * 20_000_000,
    "nested deep": lambda: open_with(b',"x":' + b"[" * 100_000 + b"]" * 100_000),
    "objects nested deep": lambda: open_with(b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "nested a million deep without an end": lambda: encode("", b'{"command":"ping","x":' + b"[" * 4_000_000),
    "quotes in a string without an end": lambda: encode(
        "", b'{"command":"ping","x":[' + b"[]," * 600 + b'"' + b'\\"' * 1_000_000
    ),
    "half a character in a channel": lambda: encode("", b'{"command":"open","channel":"\\ud83d"}'),
    "half a character in UTF-8": lambda: open_with(b',"x":"\xed\xa0\x80"'),
    "no UTF-8": lambda: open_with(b',"x":"\xff"'),
    "data on an id that is no UTF-8": lambda: b"3\n\xff\nx",
    "kill of a group that is none": lambda: encode("", b'{"command":"kill","group":["a"]}'),
    "kill of a host that is none": lambda: encode("", b'{"command":"kill","host":5}'),
}


@pytest.mark.parametrize("name", FATAL)
def test_the_session_ends_with_a_last_word(start: Start, name: str) -> None:
    """And nothing of what came after it is acted on."""
    bridge = start(helper_rule(TEST, GOOD), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    bad = FATAL[name]()
    peak = before
    try:
        for at in range(0, len(bad), MIB):
            front.write(bad[at : at + MIB])
            peak = processes.peak_bytes(bridge.pid)
        front.control("open", channel="late", payload="echo")
        front.send("late", b"late")
    except (BrokenPipeError, ProcessLookupError):  # it has hung up in the middle of it
        pass
    last = front.expect("init", problem="protocol-error")
    assert "byte" in last["message"]
    assert len(last["message"]) < 1_000
    assert last["message"].isprintable()
    assert bridge.wait() == 1
    assert peak - before < 24 * MIB
    assert front.log[-1].message == last
    assert bridge.family == []
    assert "Traceback" not in bridge.log.text
    assert "unforeseen" not in bridge.log.text


# Those that the session outlives


def check_alive(bridge: Bridge) -> None:
    """A channel of a helper, and one of the bridge's own, serve as if nothing had been."""
    front = bridge.front_end
    for ident, payload in (("alive", "test"), ("own", "echo")):
        front.open(ident, payload)
        front.expect("ready", ident)
        front.send(ident, b"alive")
        assert front.data(ident, 5) == b"alive"
        front.close(ident)
        front.expect("close", ident)
    front.sync()
    assert "Traceback" not in bridge.log.text
    assert "unforeseen" not in bridge.log.text


@pytest.mark.parametrize("payload", [b"nobody", b"test"])
def test_hundreds_of_thousands_of_members(start: Start, payload: bytes) -> None:
    """As many as one control message holds: looked at one by one, they are memory for as long as that takes."""
    bridge = start(helper_rule(TEST, [init(), serve({"open": [["ready", {"environ": {}, "open": {}}]]})], "${tag}"))
    front = bridge.front_end
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    message = b'{"command":"open","channel":"b","payload":"' + payload + b'","tag":"t"' + distinct(400_000) + b"}"
    assert len(message) < 4 * MIB
    for _ in range(3):
        front.write(encode("", message))
        if payload == b"test":
            front.expect("ready", "b")
            front.close("b")
        front.expect("close", "b")
    assert processes.peak_bytes(bridge.pid) - before < 128 * MIB
    check_alive(bridge)


FORGED: dict[str, Any] = {
    "ready": {"command": "ready", "channel": "a"},
    "ready without a channel": {"command": "ready"},
    "ack": {"command": "ack", "channel": "a", "bytes": 1 << 70},
    "pong": {"command": "pong", "channel": "a"},
    "pong without a channel": {"command": "pong"},
    "done without a channel": {"command": "done"},
    "close without a channel": {"command": "close", "problem": "terminated"},
    "close of nobody's channel": {"command": "close", "channel": "nobody's"},
    "options without a channel": {"command": "options", "batch": -1},
    "authorize": {"command": "authorize", "cookie": "1", "response": "x"},
    "authorize without a cookie": {"command": "authorize", "response": "x"},
    "authorize of odd kinds": {"command": "authorize", "cookie": {"a": 1}, "response": [None]},
    "authorize for a channel": {"command": "authorize", "channel": "a", "cookie": "1", "challenge": "*"},
    "superuser-init-done": {"command": "superuser-init-done"},
    "send-stderr": {"command": "send-stderr"},
    "send-stderr for a channel": {"command": "send-stderr", "channel": "a"},
    "superuser-init-done for a channel": {"command": "superuser-init-done", "channel": "a"},
    "init again": {"command": "init", "version": 1, "host": "elsewhere"},
    "init for a channel": {"command": "init", "version": 1, "host": "elsewhere", "channel": "a"},
    "an empty command": {"command": ""},
    "an unknown command": {"command": "\0\x1b[2J"},
    "an unknown command for a channel": {"command": "no-such-command", "channel": "a"},
    "logout": {"command": "logout", "disconnect": True},
    "hint": {"command": "hint", "hint": "ignore-me"},
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    noting = serve({name: [note_message()] for name in ("init", "authorize", "send-stderr", "superuser-init-done")})
    return start_shared(helper_rule(TEST, GOOD), helper_rule({"payload": "noting"}, [init(), noting]))


@pytest.mark.parametrize("name", FORGED)
def test_what_only_others_may_say_is_of_no_effect(bridge: Bridge, name: str) -> None:
    """What speaks of the whole transport reaches no helper, whatever channel it names."""
    front = bridge.front_end
    front.open("a", "noting")
    front.expect("ready", "a")
    begun, noted = len(front.log), len(bridge.notes)
    front.message(FORGED[name])
    front.round_trip("a")
    front.sync()
    told = [frame.message["command"] for frame in front.log[begun:]]
    front.close("a")
    front.expect("close", "a")
    assert told == ["pong", "pong"]
    assert bridge.noted_messages[noted:] == []
    check_alive(bridge)


def test_data_for_tens_of_thousands_of_channels_that_never_were(start: Start) -> None:
    """Dropped; nothing of them stays, and no answer comes."""
    bridge = start(helper_rule(TEST, GOOD))
    front = bridge.front_end
    check_alive(bridge)
    begun = len(front.log)
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    for first in range(0, 60_000, 1_000):
        front.write(b"".join(encode(f"never {number} {'x' * 50}", b"data") for number in range(first, first + 1_000)))
    front.sync()
    assert len(front.log) == begun + 1
    assert processes.peak_bytes(bridge.pid) - before < 8 * MIB
    front.write(encode("never", b"x" * 20_000_000))
    front.sync()
    assert len(front.log) == begun + 2
    assert processes.peak_bytes(bridge.pid) - before < 48 * MIB
    check_alive(bridge)


def test_controls_for_tens_of_thousands_of_channels_that_never_were(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD))
    front = bridge.front_end
    check_alive(bridge)
    begun = len(front.log)
    before = processes.resident_bytes(bridge.pid)
    for number in range(5_000):
        for command in ("close", "done", "ready", "options", "ping"):
            front.control(command, channel=f"never {number}")
    front.sync()
    assert len(front.log) == begun + 1
    assert processes.resident_bytes(bridge.pid) - before < 8 * MIB
    check_alive(bridge)


def test_floods_of_open_and_close(start: Start) -> None:
    """Of one id, without waiting for anything: each open is answered at most once, and the last one lives."""
    bridge = start(helper_rule(TEST, GOOD), limits={"close_answer_seconds": 20})
    front = bridge.front_end
    check_alive(bridge)
    before = processes.resident_bytes(bridge.pid)
    for _ in range(5_000):
        front.open("a")
        front.send("a", b"lost, perhaps")
        front.close("a")
    front.open("a")
    front.send("a", b"last")
    front.control("ping", channel="a")
    front.take(lambda frame: not frame.channel and frame.message["command"] == "pong", "the pong of the last one")
    told = front.commands("a")
    assert told.count("close") <= 5_000
    assert told[-3:] == ["ready", "data", "pong"]
    assert front.data_so_far("a").endswith(b"last")
    front.close("a")
    front.sync()
    assert processes.resident_bytes(bridge.pid) - before < 16 * MIB
    check_alive(bridge)


# Ids

LETTERS = "".join(
    chr(code) for code in (*range(0x100), 0x2028, 0x202E, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF)
)
ALL_LETTERS = LETTERS.replace("\n", "")


@pytest.mark.parametrize("payload", ["test", "echo"])
def test_ids_of_every_letter(bridge: Bridge, payload: str) -> None:
    """Every byte that UTF-8 can have, but for the line feed; letters that look alike are not the same channel."""
    front = bridge.front_end
    alike = ["\u00e9", "e\u0301", "\ufb01", "fi", "A", "a", "a\0", "a ", "\u0430"]
    ids = [ALL_LETTERS, *ALL_LETTERS, *(ident for ident in alike if ident not in ALL_LETTERS)]
    assert len(set(ids)) == len(ids)
    for ident in ids:
        front.open(ident, payload)
        front.send(ident, ident.encode())
    for ident in ids:
        front.expect("ready", ident)
        assert front.data(ident, len(ident.encode())) == ident.encode()
    for ident in ids:
        front.close(ident)
        if payload == "test":
            front.expect("close", ident)
    check_alive(bridge)


def test_an_id_spelled_in_two_ways_is_one(bridge: Bridge) -> None:
    """With escapes in one control message, without in another, and in the bytes of data."""
    front = bridge.front_end
    front.write(encode("", b'{"command":"open","channel":"\\u0041\\ud83d\\ude00\\/","payload":"test"}'))
    ident = "A\U0001f600/"
    assert front.expect("ready", ident)["channel"] == ident
    front.send(ident, b"data")
    assert front.data(ident, 4) == b"data"
    front.write(encode("", b'{"command":"close","channel":"A\xf0\x9f\x98\x80/"}'))
    front.expect("close", ident)


# Values that templates take

HUGE = "x" * MIB


@pytest.mark.parametrize("value", [HUGE, "$(" * 200_000, "\n" * 1_500_000, '"' * 300_000, "-" * 200_000], ids=len)
@pytest.mark.parametrize("where", ["argument", "command", "environ", "directory", "many"])
def test_values_that_no_system_takes(start: Start, where: str, value: str) -> None:
    """A clean failure to start: the rule's problem, a message that can be read, and the next open is served."""
    rule = {
        "argument": helper_rule(TEST, GOOD, "${tag}", problem="too-much"),
        "command": {"match": TEST, "spawn": ["/bin/${tag}"], "problem": "too-much"},
        "environ": helper_rule(TEST, GOOD, environ=["TAG=${tag}"], problem="too-much"),
        "directory": helper_rule(TEST, GOOD, directory="/tmp/${tag}", problem="too-much"),
        "many": helper_rule(TEST, GOOD, *["${tag}"] * 20, problem="too-much"),
    }[where]
    bridge = start(rule, helper_rule({"payload": "good"}, GOOD))
    front = bridge.front_end
    front.open("a", tag=value)
    closed = front.expect("close", "a")
    assert closed["problem"] == "too-much"
    assert "test/bridges[0]" in closed["message"]
    front.open("b", "good")
    front.expect("ready", "b")
    assert max(map(len, bridge.log.lines)) < 5_000
    assert bridge.log.text.isascii()
    assert "Traceback" not in bridge.log.text


def test_each_argument_fits_and_all_together_do_not(start: Start) -> None:
    bridge = start(
        helper_rule(TEST, GOOD, *["${tag}"] * 40, problem="too-much"), helper_rule({"payload": "good"}, GOOD)
    )
    front = bridge.front_end
    front.open("a", tag="x" * 100_000)
    closed = front.expect("close", "a")
    assert closed["problem"] == "too-much"
    assert "longer than the system allows" in closed["message"]
    front.open("b", tag="x")
    assert front.expect("ready", "b")["argv"] == ["x"] * 40


def test_a_message_that_quotes_a_value_is_one_that_can_be_read(start: Start) -> None:
    """Whatever is odd in an open, the close for it is a control message, and the log has one line."""
    bridge = start(helper_rule(TEST, GOOD, environ=["${tag}=x"]))
    front = bridge.front_end
    for value in ("=a\nb", "=\x1b[2J", "=\u202e", "=", "=$(id)", "=" * 500_000):
        front.message({"command": "open", "channel": "a", "payload": "test", "tag": value})
        assert front.expect("close", "a")["problem"] == "protocol-error"
        front.message({"command": "open", "channel": "a", "payload": value})
        assert front.expect("close", "a")["problem"] == "not-supported"
        front.message({"command": "open", "channel": "a", "payload": "test", "host": value})
        without_ssh = () if shutil.which("ssh") else ("internal-error",)
        assert front.expect("close", "a")["problem"] in ("no-host", "protocol-error", *without_ssh)
    assert json.dumps([line for line in bridge.log.lines if not line.startswith("spanbridge[")]) == "[]"
