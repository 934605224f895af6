"""A channel is closed once, and nothing comes on it after that, whatever else its last chunk held."""

import pytest

from .test_nothing_hangs import Play, play
from .wire import encode, encode_control

__all__ = ["play"]

BAD = b"\xff" * 5_000  # no text, and large enough to be passed on as a view


@pytest.mark.parametrize("size", [1, 5_000])
@pytest.mark.parametrize("between", [b"", encode("other", b"x" * 5_000), encode("nobody", b"x")])
def test_echo_that_is_closed_by_its_data(play: Play, size: int, between: bytes) -> None:
    scene = play(pipe_bytes=65_536)
    scene.tell(
        encode_control(command="open", channel="other", payload="echo"),
        encode_control(command="open", channel="e", payload="echo"),
        encode("e", b"good" * size),
        between,
        encode("e", b"\xff" * size),
        between,
        encode("e", b"late" * size),
        between,
        encode("e", b"\xff" * size),
    )
    scene.stage.settle()
    told = scene.of("e")
    assert told[1] == b"good" * size
    assert scene.closes("e") == ["protocol-error"]
    assert told[-1]["command"] == "close"
    assert len(told) == 3


def test_the_next_channel_of_that_id_is_another(play: Play) -> None:
    scene = play(pipe_bytes=65_536)
    opened = encode_control(command="open", channel="e", payload="echo")
    scene.tell(opened, encode("e", BAD), encode("x", b""), encode("e", BAD), opened, encode("e", b"good"))
    scene.stage.settle()
    assert [told if isinstance(told, bytes) else told["command"] for told in scene.of("e")] == [
        "ready",
        "close",
        "ready",
        b"good",
    ]


def test_data_after_done_and_done_again(play: Play) -> None:
    scene = play()
    done = encode_control(command="done", channel="e")
    opened = encode_control(command="open", channel="e", payload="echo")
    scene.tell(opened, encode("e", b"1"), done, encode("e", b"2"), done, encode_control(command="close", channel="e"))
    scene.stage.settle()
    assert [told if isinstance(told, bytes) else told["command"] for told in scene.of("e")] == [
        "ready",
        b"1",
        "done",
        "close",
    ]


def test_both_sides_close_at_once(play: Play) -> None:
    """The helper's close is taken for its answer, and passed on."""
    scene = play()
    process = scene.open("a")
    scene.greet(process)
    process.say(encode_control(command="close", channel="a", problem="tired"))
    process.write()
    scene.tell(encode_control(command="close", channel="a"))
    scene.stage.settle()
    assert scene.closes("a") == ["tired"]


def test_a_helper_ends_after_some_of_its_channels(play: Play) -> None:
    scene = play()
    for ident in ("a", "b", "c", "d"):
        process = scene.open(ident)
    scene.greet(process)
    scene.tell(encode_control(command="close", channel="a"), encode_control(command="kill", group="none"))
    scene.say(process, encode_control(command="close", channel="b"))
    process.exit()
    scene.stage.turn(4)
    assert scene.closes("a") == []  # it is over by the front end's own word
    assert scene.closes("b") == [None]
    assert scene.closes("c") == scene.closes("d") == ["terminated"]
