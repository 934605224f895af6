"""The helpers that docs/helpers.md shows: they run behind a bridge, and do what it says."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spanbridge.sdk import Channel, HelperLimits
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd

from ..docs.pages import DOCS, Block, blocks, prose, tables, words

PAGE = DOCS / "helpers.md"
NAMES = ("echo", "sizes", "shout")


def shown() -> dict[str, Block]:
    return dict(zip(NAMES, blocks(PAGE, "python", "sdk"), strict=True))


@pytest.fixture
def spanbridge_packages(tmp_path: Path) -> Mapping[str, Mapping[str, Any]]:
    rules = []
    for name, block in shown().items():
        program = tmp_path / f"{name}.py"
        program.write_text(block.text)
        rules.append({"match": {"payload": name}, "spawn": [sys.executable, str(program)]})
    return {"shown": {"bridges": rules}}


def test_the_echo_is_short_and_echoes(bridge: Bridge, front_end: FrontEnd) -> None:
    assert len(shown()["echo"].text.splitlines()) <= 20
    for channel in ("a", "b"):
        front_end.open(channel, "echo")
        front_end.expect("ready", channel)
    for channel in ("a", "b"):
        front_end.send(channel, channel.encode() * 3)
        assert front_end.data(channel, 3) == channel.encode() * 3
    front_end.control("done", channel="a")
    front_end.expect("done", "a")
    front_end.expect("close", "a")
    assert bridge.end() == 0
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')


def test_typed_messages_and_problems(front_end: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2_048)
    front_end.open("a", "sizes", unit="KiB")
    front_end.expect("ready", "a")
    for name, told in (("file", {"size": 2.0}), ("nothing", {"error": "No such file or directory"})):
        expected = {"path": str(tmp_path / name), **told}
        front_end.send("a", json.dumps({"path": expected["path"]}).encode())
        frame = front_end.take(lambda frame: frame.channel == "a", "an answer")
        assert json.loads(frame.payload) == expected
    front_end.send("a", b'{"path": 1}')
    assert "Expected `str`" in front_end.expect("close", "a", problem="protocol-error")["message"]
    front_end.open("b", "sizes", unit="miles")
    told_why = front_end.expect("close", "b", problem="protocol-error")["message"]
    assert told_why == "\"unit\": expected bytes or KiB, found 'miles'"


def test_channels_one_by_one(front_end: FrontEnd) -> None:
    front_end.open("a", "shout")
    front_end.expect("ready", "a", host="localhost", count=1)
    front_end.open("b", "shout")
    front_end.expect("ready", "b", host="localhost", count=2)
    front_end.send("b", "zażółć".encode())
    assert front_end.data("b", 10).decode() == "ZAŻÓŁĆ"
    front_end.control("done", channel="b")
    front_end.expect("done", "b")
    front_end.expect("close", "b")


def test_what_they_say_to_a_person_who_sends_them_no_frames(tmp_path: Path) -> None:
    for name, block in shown().items():
        program = tmp_path / f"{name}.py"
        program.write_text(block.text)
        done = subprocess.run([sys.executable, program], input=b"hello\n", capture_output=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert done.stderr.startswith(b"protocol error: expected a frame length")


def test_what_the_table_lists_is_there() -> None:
    (rows,) = tables(PAGE, "A channel")
    named = {
        name
        for row in rows[1:]
        for word in words(row[0])
        for name in re.findall(r"(?:channel\.|^)(\w+)(?=[(`]|$)", word.removeprefix("await "))
    }
    assert {"id", "options", "send", "send_json", "texts", "discard"} <= named
    fields = {"id", "options"}  # set when it is made
    assert [name for name in named - fields if not hasattr(Channel, name)] == []


def test_limits_named_in_the_text() -> None:
    text = "\n".join(line for _, line in prose(PAGE))
    found = re.findall(r"(\d+) (MiB|KiB) \(`limits\.(\w+)`\)", text)
    assert len(found) == 4
    units = {"MiB": 1 << 20, "KiB": 1 << 10}
    for number, unit, name in found:
        assert int(number) * units[unit] == getattr(HelperLimits(), name), name
