"""docs/streams.md: its dialogues are what happens."""

import json
import re

import pytest

from spanbridge.testing.bridge import Bridge

from ..docs.pages import DOCS, Block, blocks

PAGE = DOCS / "streams.md"
DIALOGUES = [block for block in blocks(PAGE) if block.language.startswith("dialogue")]


def unescaped(text: str) -> bytes:
    return text.replace("\\r", "\r").replace("\\n", "\n").encode()


@pytest.mark.parametrize("block", DIALOGUES, ids=lambda block: f"line {block.line}")
def test_a_dialogue(bridge: Bridge, block: Block) -> None:
    front = bridge.front_end
    for line in block.text.strip().split("\n"):
        who, _, what = line.partition(" ")
        if what.startswith("{"):
            said = what.replace("PID", "0")
            message = json.loads(said)
            if who == ">":
                front.message(message)
                continue
            heard = front.take(
                lambda frame, message=message: (  # type: ignore[misc]
                    not frame.channel and frame.message.get("channel") == message["channel"]
                ),
                what,
            ).message
            assert {**heard, **({"pid": 0} if "pid" in heard else {})} == message
        else:
            channel, _, data = what.partition(" ")
            if who == ">":
                front.send(channel, unescaped(data))
            else:
                assert front.data(channel, len(unescaped(data))) == unescaped(data)


def test_there_are_some() -> None:
    assert len(DIALOGUES) >= 5
    assert re.search(r"^< \{", PAGE.read_text(), re.MULTILINE)
