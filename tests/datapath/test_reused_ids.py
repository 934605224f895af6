"""An internal channel that is over has no say any more, though its id may be in use again."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from spanbridge.payloads import base
from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import Problem
from spanbridge.wire.source import Source

from .test_nothing_hangs import Play, Scene, play
from .wire import encode, encode_control

__all__ = ["play"]


class Late:
    """An internal channel that goes on after its end, as a task does that has not heard of it yet."""

    def __init__(self, port: base.Port, options: dict[str, Any], services: base.Services) -> None:
        self.port = port
        self.ends = 0
        port.control("ready")

    kind = "late"
    takes = False

    def put(self, data: Span) -> None:
        self.port.forward(data)

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        raise AssertionError("it does not take")

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """Nothing is answered."""

    def end(self) -> None:
        self.ends += 1

    def go_on(self) -> None:
        self.port.send(b"late")
        self.port.control("done")
        self.port.close(Problem("terminated", "late"))
        self.port.send(b"later")


@pytest.fixture
def late() -> Iterator[list[Late]]:
    """The channels with payload `late`, in the order of their opens."""
    made: list[Late] = []
    find = base.find

    def make(port: base.Port, options: dict[str, Any], services: base.Services) -> Late:
        made.append(Late(port, options, services))
        return made[-1]

    with patch.object(base, "find", lambda payload: make if payload == "late" else find(payload)):
        yield made


ENDS: dict[str, Callable[[Scene], None]] = {
    "closed": lambda scene: scene.tell(encode_control(command="close", channel="a")),
    "killed": lambda scene: scene.tell(encode_control(command="kill")),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_id_is_free(play: Play, late: list[Late], how: str) -> None:
    scene = play()
    scene.open_internal("a", "late")
    ENDS[how](scene)
    told = scene.of("a")
    late[0].go_on()
    scene.stage.turn(3)
    assert scene.of("a") == told
    assert late[0].ends == 1


@pytest.mark.parametrize("how", ENDS)
def test_the_id_is_a_helper_s(play: Play, late: list[Late], how: str) -> None:
    scene = play()
    scene.open_internal("a", "late")
    ENDS[how](scene)
    told = scene.of("a")
    process = scene.open("a", "one")
    scene.greet(process, encode("a", b"first"))
    late[0].go_on()
    scene.say(process, encode("a", b"second"))
    assert scene.of("a") == [*told, b"first", b"second"]
    scene.tell(encode_control(command="close", channel="a"))
    scene.say(process, encode_control(command="close", channel="a"))
    assert scene.of("a")[-1] == {"command": "close", "channel": "a"}
    assert late[0].ends == 1


def test_the_id_is_another_internal_channel_s(play: Play, late: list[Late]) -> None:
    scene = play()
    scene.open_internal("a", "late")
    scene.tell(encode_control(command="close", channel="a"))
    scene.open_internal("a", "late")
    told = scene.of("a")
    late[0].go_on()
    scene.tell(encode("a", b"data"))
    assert scene.of("a") == [*told, b"data"]
    assert [one.ends for one in late] == [1, 0]


def test_one_that_closes_itself(play: Play, late: list[Late]) -> None:
    scene = play()
    scene.open_internal("a", "late")
    late[0].go_on()
    late[0].go_on()
    scene.stage.turn(3)
    assert [told if isinstance(told, bytes) else told["command"] for told in scene.of("a")] == [
        "ready",
        b"late",
        "done",
        "close",
    ]
    assert late[0].ends == 1
