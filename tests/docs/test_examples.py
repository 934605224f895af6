"""What the documents show can be done, and does what they say."""

import shlex
from pathlib import Path

import pytest

from spanbridge.testing.frames import Decoder
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .pages import DOCS, README, ROOT, Block, blocks
from .shell import after_first_frame, run

OWN = (README, DOCS / "protocol.md", DOCS / "helpers.md", DOCS / "architecture.md")
"""The pages whose blocks are accounted for here."""

NOT_RUN = {
    ("README.md", "make demo"): "the demo is run by test_demo.py",
    ("README.md", "-->  open   a1  payload"): "compared with the demo's output by test_demo.py",
    ("README.md", "make deb"): "run by make test-deb; pipx needs a package index",
    ("README.md", "sudo apt install"): "run by test_front_end.py, but for this line",
}


def minimal() -> Block:
    (block,) = blocks(DOCS / "helpers.md", "python", "minimal")
    return block


def write_minimal(directory: Path) -> Path:
    program = directory / "minimal.py"
    program.write_text(minimal().text)
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("page", OWN, ids=lambda page: page.name)
def test_every_block_is_accounted_for(page: Path) -> None:
    left = [
        block.name
        for block in blocks(page)
        if block.tag not in ("run", "output", "minimal", "sdk")  # the last are run by tests/sdk
        and not any(page.name == name and block.text.strip().startswith(start) for name, start in NOT_RUN)
    ]
    assert left == []


@pytest.mark.parametrize("page", [DOCS / "protocol.md", DOCS / "helpers.md"], ids=lambda page: page.name)
def test_the_blocks_of_a_page_print_what_it_says(page: Path, home: Home) -> None:
    write_minimal(home.root)
    found = blocks(page)
    shown = [(block, found[index + 1]) for index, block in enumerate(found) if block.tag == "run"]
    assert shown
    for block, output in shown:
        assert output.tag == "output", f"{block.name}: what comes out is not shown"
        ran = run(block, home.root, home.environ, awaited=b"HELLO" if "sleep" in block.text else b"")
        out = after_first_frame(ran.out) if "spanbridge" in block.text else ran.out
        assert out.decode() == output.text.removesuffix("\n"), f"{block.name}: {ran.log}"
        assert ran.status == ("protocol-error" in output.text), f"{block.name}: {ran.log}"


def test_the_readme_from_the_first_manifest_to_the_first_channel(home: Home) -> None:
    environ = {name: value for name, value in home.environ.items() if name != "XDG_DATA_HOME"}
    first, second = blocks(README, "sh", "run")
    told = run(first._replace(text=f"cd {shlex.quote(str(ROOT))}\n{first.text}"), home.root, environ)
    assert told.status == 0, told.log
    assert "1 file: no problems" in told.log
    text = told.out.decode()
    assert "first/bridges[0]" in text
    assert "Served by first/bridges[0]" in text
    assert f"{home.root}/.local/bin/example_helper.py --tag blue" in text
    assert text.endswith("blue: hello\n")

    spoken = run(second, home.root, environ, awaited=b"blue: hello")
    assert spoken.status == 0, spoken.log
    frames = Decoder().feed(spoken.out)
    assert [frame.payload for frame in frames if frame.channel == "a"][1:] == [b"blue: hello"]


def test_the_minimal_helper(start: Start, home: Home) -> None:
    assert len(minimal().text.splitlines()) <= 30
    bridge = start({"match": {"payload": "minimal"}, "spawn": [str(write_minimal(home.root))]})
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel, "minimal")
        front.expect("ready", channel)
        front.send(channel, b"one\ntwo")
        assert front.data(channel, 7) == b"ONE\nTWO"
    assert len(bridge.children) == 1
    front.close("a")
    front.expect("close", "a")
    front.send("a", b"late")
    front.open("a", "minimal")
    front.expect("ready", "a")
    front.control("done", channel="b")
    front.expect("close", "b")
    assert bridge.end() == 0
    assert "exited with status 0" in bridge.log.text
