"""docs/files.md: each dialogue goes as it is shown."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.files.attributes import KNOWN

from ..docs.pages import DOCS, blocks, tables, words
from .client import Files

PAGE = DOCS / "files.md"
DIALOGUES = blocks(PAGE, "dialogue")


class Dialogue:
    """Acts for the page, and compares what the bridge says. `names` are the texts in capitals."""

    def __init__(self, files: Files, directory: Path) -> None:
        self._front_end = files.front_end
        self._directory = directory
        self.names = {"DIR": str(directory)}

    def line(self, line: str) -> None:
        who, _, what = line.partition(" ")
        for name, value in self.names.items():
            what = re.sub(rf"\b{name}\b", value, what)
        if who == "$":
            subprocess.run(["/bin/sh", "-ec", what], cwd=self._directory, check=True)
        elif who == ">" and what.startswith("{"):
            self._front_end.message(json.loads(what))
        elif who == ">":
            channel, _, text = what.partition(" ")
            self._front_end.send(channel, text.encode())
        elif what.startswith("{"):
            told = json.loads(what)
            found = self._front_end.take(lambda frame: not frame.channel, what).message
            self._learn(told, found)
            assert found == told
        else:
            channel, _, text = what.partition(" ")
            payload = self._front_end.take(lambda frame: frame.channel == channel, what).payload
            if text.startswith("{"):
                told = json.loads(text)
                self._learn(told, json.loads(payload))
                assert json.loads(payload) == told
            else:
                assert payload == text.replace("\\n", "\n").encode()

    def _learn(self, told: dict[str, Any], found: dict[str, Any]) -> None:
        """A tag that is not known yet is what was found."""
        tag = told.get("tag", "-")
        if tag.isupper() and tag not in self.names:
            assert found["tag"] not in self.names.values()
            self.names[tag] = told["tag"] = found["tag"]


@pytest.mark.parametrize("block", DIALOGUES, ids=lambda block: block.tag)
def test_dialogue(files: Files, tmp_path: Path, block: Any) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    files.front_end.sync()
    files.front_end.pending.clear()
    dialogue = Dialogue(files, directory)
    for line in block.text.splitlines():
        dialogue.line(line)


def test_each_payload_has_one() -> None:
    assert {block.tag for block in DIALOGUES} == {"read", "replace", "info", "watch", "events", "list"}


def test_attributes() -> None:
    (_, found) = tables(PAGE, "fsinfo")
    assert {name for row in found[1:] for name in words(row[0])} == set(KNOWN)
