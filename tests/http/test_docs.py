"""docs/http.md: its dialogues are what happens, its lists are those of the code."""

import json
import re
from pathlib import Path

import pytest

from spanbridge.payloads.http.close_codes import PROBLEMS
from spanbridge.payloads.http.owned import OWNED, OWNED_ON_TEXT
from spanbridge.protocol import problems
from spanbridge.testing.bridge import Bridge

from ..docs.pages import DOCS, Block, blocks, tables, words
from .frames import CLOSE, TEXT, accept, close_of, frame, read_frame
from .server import Peer, Server

PAGE = DOCS / "http.md"


def unescaped(text: str) -> bytes:
    return text.replace("\\r", "\r").replace("\\n", "\n").encode()


class Stage:
    """The parts of a dialogue: a page, the bridge, a server."""

    def __init__(self, bridge: Bridge, server: Server) -> None:
        self.front = bridge.front_end
        self.server = server
        self.peer: Peer | None = None
        self.accept = ""

    def play(self, line: str) -> None:
        who, _, what = line.partition(" ")
        if who == ">":
            self.say(what.replace("SOCKET", self.server.where["unix"]))
        elif who == "<":
            self.hear(what.replace("ACCEPT", self.accept))
        else:
            self.serve(what)

    def say(self, what: str) -> None:
        if what.startswith("{"):
            self.front.message(json.loads(what))
        else:
            channel, _, data = what.partition(" ")
            self.front.send(channel, unescaped(data))

    def hear(self, what: str) -> None:
        if what.startswith("{"):
            message = json.loads(what)
            assert self.front.expect(message["command"], message["channel"]) == message
        else:
            channel, _, data = what.partition(" ")
            assert self.front.data(channel, len(unescaped(data))) == unescaped(data)

    def serve(self, what: str) -> None:
        if self.peer is None:
            self.peer = self.server.accept()
        if what.startswith("accepts with "):
            self.accept = accept(self.peer, what.removeprefix("accepts with "))
        elif what.startswith("gets message "):
            assert read_frame(self.peer) == (TEXT, what.removeprefix("gets message ").encode())
        elif what.startswith("says message "):
            self.peer.send(frame(TEXT, what.removeprefix("says message ").encode()))
        elif what.startswith("gets close "):
            assert read_frame(self.peer) == (CLOSE, close_of(int(what.removeprefix("gets close "))))
        elif what.startswith("says close "):
            code, _, reason = what.removeprefix("says close ").partition(" ")
            self.peer.send(frame(CLOSE, close_of(int(code), reason)))
        elif what.startswith("gets "):
            expected = unescaped(what.removeprefix("gets "))
            assert self.peer.read(len(expected)) == expected
        else:
            assert what.startswith("says ")
            self.peer.send(unescaped(what.removeprefix("says ")))


@pytest.mark.parametrize("block", blocks(PAGE, "dialogue"), ids=lambda block: block.name)
def test_dialogues(bridge: Bridge, server: Server, block: Block) -> None:
    stage = Stage(bridge, server)
    for line in block.text.splitlines():
        stage.play(line)
    assert stage.peer is not None
    stage.peer.close()


def listed(name: str) -> str:
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_headers_that_are_the_bridge_s_own() -> None:
    assert {word.lower() for word in words(listed("owned"))} == OWNED
    assert {word.lower() for word in words(listed("owned-on-text"))} == OWNED_ON_TEXT


def test_codes_of_close_frames() -> None:
    told = {}
    for each in listed("codes").split(";"):
        (problem,) = words(each)
        told.update({int(code): problem for code in re.findall(r"\d{4}", each)})
    assert told == PROBLEMS


def test_problems_are_known() -> None:
    ((_, *rows),) = tables(Path(PAGE), "Problems")
    known = {value for name, value in vars(problems).items() if name.isupper()}
    assert {word for row in rows for word in words(row[1])} <= known
