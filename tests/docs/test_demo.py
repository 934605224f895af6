"""The demo, and the example helper in it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.frames import Frame
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

from .pages import README, ROOT, blocks

EXAMPLES = ROOT / "examples"
HELPER = EXAMPLES / "helpers" / "example_helper.py"
RULE = {
    "match": {"payload": "example"},
    "environ": ["EXAMPLE_TAG=${tag}"],
    "spawn": [str(HELPER), "--tag", "${tag}", "--literal", "\\${tag}"],
}


def demo(examples: Path, home: Home) -> subprocess.CompletedProcess[str]:
    # As on a machine where somebody has registered a helper for the very same payload.
    home.package("mine", helper_rule({"payload": "example"}, [init(), serve()]), priority=10)
    return subprocess.run(
        [sys.executable, examples / "demo.py"],
        env={**os.environ, **home.environ, "SPANBRIDGE_HELPERS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def without_pids(text: str) -> str:
    return re.sub(r"\bpid +\d+", "pid N", text)


def test_the_demo_tells_what_it_says(home: Home) -> None:
    done = demo(EXAMPLES, home)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    out = done.stdout
    assert max(map(len, out.splitlines())) <= 130
    first, again, other = re.findall(r"data   a\d  pid +(\d+)", out)
    assert first == again != other
    assert out.count("argv     example_helper.py --tag blue --literal '${tag}'") == 2
    assert out.count("argv     example_helper.py --tag green --literal '${tag}'") == 1
    assert out.count("environ  EXAMPLE_TAG=blue") == 2
    assert "\\${tag}" in out
    assert '<--  close  b1  problem "access-denied"' in out
    assert "<--  data   c1  anybody there?" in out
    assert f"helpers {first} and {other} were told, and have ended; exit status 0" in out
    assert out.endswith("All as it should be.\n")


def test_the_readme_shows_a_part_of_it(home: Home) -> None:
    part = next(block for block in blocks(README, "text") if "-->" in block.text)
    assert without_pids(part.text) in without_pids(demo(EXAMPLES, home).stdout)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"problem": "access-denied"', '"problem": "not-found"', "expected access-denied, found not-found"),
        ('"--tag", "${tag}"', '"--tag", "${payload}"', "'--tag', 'example'"),
        ('["false"]', '["example_helper.py", "--tag", "x"]', "found"),
        ("example_helper.py", "no-such-helper.py", "no-such-helper.py"),
        ("EXAMPLE_TAG=${tag}", "EXAMPLE_TAG=", "EXAMPLE_TAG"),
        ('{"payload": "example"}', '{"payload": "other"}', "not-supported"),
    ],
)
def test_it_fails_where_anything_is_not_as_it_says(home: Home, old: str, new: str, told: str) -> None:
    examples = home.root / "examples"
    shutil.copytree(EXAMPLES, examples)
    manifest = examples / "packages" / "cockpit" / "example" / "manifest.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    done = demo(examples, home)
    assert done.returncode == 1
    assert "The demo has failed" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "All as it should be" not in done.stdout


# The example helper


def test_the_helper_serves_many_channels(start: Start) -> None:
    front = start(RULE).front_end
    for channel in ("a", "b"):
        front.open(channel, "example", tag="x y")
        front.expect("ready", channel)
        said = json.loads(front.take(lambda frame: bool(frame.channel), "who it is").payload)
        assert said["argv"][1:] == ["--tag", "x y", "--literal", "${tag}"]
        assert said["environ"] == {"EXAMPLE_TAG": "x y"}
    front.send("b", b"\xff\n")
    assert front.data("b", 7) == b"x y: \xff\n"
    front.control("ping", channel="a", cookie=[1])
    front.expect("pong", "a", cookie=[1])
    front.control("options", channel="a")
    front.control("done", channel="a")
    front.expect("done", "a")
    assert front.expect("close", "a") == {"command": "close", "channel": "a"}
    front.close("b")
    front.expect("close", "b")


def test_the_helper_refuses_to_start_without_a_tag(start: Start) -> None:
    front = start(RULE).front_end
    front.open("a", "example")
    front.expect("close", "a", problem="not-found", message="the open has no tag")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"5\n\nhi", "expected a frame of 5 bytes, found 3"),
        (b"2\nhi", "expected a frame of 2 bytes"),
        (b"hello\n", "expected the length of a frame"),
        (b"123456789\n", "expected the length of a frame"),
        (b'31\n\n{"command":"init","version":2}', "expected version 1, found 2"),
    ],
)
def test_the_helper_says_what_is_wrong_with_its_input(sent: bytes, told: str) -> None:
    done = subprocess.run([HELPER, "--tag", "x"], input=sent, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert told in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_the_helper_says_init_and_ends_with_its_stdin() -> None:
    done = subprocess.run([HELPER, "--tag", "x"], input=b"", capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    length, _, rest = done.stdout.partition(b"\n")
    assert int(length) == len(rest)
    assert Frame("", rest[1:]).message == {"command": "init", "version": 1}
