"""Bridges that start one another (docs/manifests.md, "Limits")."""

import re
import subprocess

import pytest

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

TEST = {"payload": "test"}


def test_a_helper_is_told_how_deep_it_is(start: Start) -> None:
    front = start(helper_rule(TEST, [init(), serve()])).front_end
    front.open("a")
    assert front.expect("ready", "a")["environ"]["SPANBRIDGE_DEPTH"] == "1"


@pytest.mark.parametrize("depth", [1, 7])
def test_a_bridge_that_is_a_helper_works(start: Start, depth: int) -> None:
    """And tells its own helpers."""
    bridge = start(helper_rule(TEST, [init(), serve()]), environ={"SPANBRIDGE_DEPTH": str(depth)})
    bridge.front_end.open("a")
    assert bridge.front_end.expect("ready", "a")["environ"]["SPANBRIDGE_DEPTH"] == str(depth + 1)


@pytest.mark.parametrize("depth", [8, 1000, pytest.param("9" * 5000, id="more than Python converts")])
def test_a_bridge_that_is_too_deep_refuses(start: Start, depth: int | str) -> None:
    bridge = start(
        environ={"SPANBRIDGE_DEPTH": str(depth), "SPANBRIDGE_RULE": "some-package/bridges[3]"}, handshake=False
    )
    message = bridge.front_end.expect("init")
    assert bridge.wait() != 0
    assert message["problem"] == "internal-error"
    assert "some-package/bridges[3]" in message["message"]
    assert "8" in message["message"]
    assert bridge.log.matches(r"limit name=\w*depth")
    assert "Traceback" not in bridge.log.text


def test_the_bound_is_a_setting(home: Home, start: Start) -> None:
    told = subprocess.run([SPANBRIDGE, "--help"], env=home.environ, capture_output=True, text=True, check=True).stdout
    (name,) = re.findall(r"^ +(\w*depth\w*)=8 ", told, re.MULTILINE)
    bridge = start(environ={"SPANBRIDGE_DEPTH": "2"}, arguments=["--set", f"{name}=2"], handshake=False)
    assert "problem" in bridge.front_end.expect("init")
    assert bridge.wait() != 0


@pytest.mark.parametrize("depth", ["", "x", "-1", "0"])
def test_a_depth_that_is_none(start: Start, depth: str) -> None:
    front = start(environ={"SPANBRIDGE_DEPTH": depth}).front_end
    front.sync()


def test_a_rule_that_takes_everything_and_starts_ourselves(start: Start) -> None:
    """It ends: the last bridge refuses, and the front end is told which rule to look at."""
    bridge = start({"match": {}, "spawn": [str(SPANBRIDGE)]})
    front = bridge.front_end
    front.open("a", "echo")
    closed = front.expect("close", "a")
    assert closed["problem"] == "internal-error"
    assert "test/bridges[0]" in closed["message"]
    assert "depth" in closed["message"]
    assert len(bridge.family) <= 8
    front.sync()


def test_a_bridge_behind_a_bridge(start: Start) -> None:
    """Which reads manifests of its own: opens, data and the end go through both."""
    inner = {"match": {"payload": "echo"}, "spawn": [str(SPANBRIDGE)], "environ": ["XDG_DATA_HOME=/nonexistent"]}
    bridge = start(inner)
    front = bridge.front_end
    front.open("a", "echo", host="localhost")
    front.expect("ready", "a")
    front.send("a", b"hello")
    assert front.data("a", 5) == b"hello"
    front.control("done", channel="a")
    front.expect("done", "a")
    front.expect("close", "a")
    assert bridge.end() == 0
