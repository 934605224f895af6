"""Whatever a channel that the bridge serves itself raises, and wherever, costs that channel alone."""

from typing import Any

import pytest

from spanbridge.payloads import base
from spanbridge.payloads.base import Port, Services
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import TOO_LARGE, Problem
from spanbridge.wire.source import Source

from .test_nothing_hangs import Play, play
from .wire import encode, encode_control

__all__ = ["play"]

MISTAKES = [ValueError("nobody expected it"), Problem(TOO_LARGE, "more than there is room for")]
CODES = {id(mistake): code for mistake, code in zip(MISTAKES, ["internal-error", "too-large"], strict=True)}


class Faulty:
    """A payload that raises in what its open names."""

    kind = "echo"
    takes = False

    def __init__(self, port: Port, message: dict[str, Any], services: Services) -> None:
        self._port = port
        self._where = message["where"]
        self._raise("make")
        if self._where == "made":
            port.close()

    def _raise(self, *where: str) -> None:
        if self._where in where:
            raise MISTAKE[0]

    def put(self, data: Span) -> None:
        self._raise("put")

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        raise AssertionError("it does not take")

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        self._raise("command" if command != "close" else "close")

    def end(self) -> None:
        self._raise("end", "made")


MISTAKE: list[Exception] = []


@pytest.mark.parametrize("mistake", MISTAKES, ids=["unforeseen", "problem"])
@pytest.mark.parametrize("where", ["make", "made", "put", "command", "close", "end"])
def test_one_channel(play: Play, where: str, mistake: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find", lambda payload: Faulty)
    MISTAKE[:] = [mistake]
    scene = play(pipe_bytes=65_536)
    scene.tell(
        encode_control(command="open", channel="good", payload="echo", where="nowhere"),
        encode_control(command="open", channel="bad", payload="echo", where=where),
        encode("bad", b"x"),
        encode_control(command="options", channel="bad"),
        encode("bad", b"y"),
        encode_control(command="close", channel="bad"),
    )
    assert scene.answers()
    by_it = where in ("make", "put", "command")  # else the front end closes it, or the payload itself
    assert scene.closes("bad") == [CODES[id(mistake)] if by_it else None]
    assert scene.closes("good") == []
    scene.open_internal("bad", "echo", where="nowhere")  # the id is free, or this would end the session
    assert scene.answers()


def test_the_end_of_a_session(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that raises does not keep the others from being ended."""
    monkeypatch.setattr(base, "find", lambda payload: Faulty)
    MISTAKE[:] = [ValueError("nobody expected it")]
    scene = play(pipe_bytes=65_536)
    for ident in ("a", "b"):
        scene.open_internal(ident, "echo", where="end")
    scene.tell(encode_control(command="kill"))
    assert scene.closes("a") == scene.closes("b") == ["terminated"]
    assert scene.answers()
