"""One who stops, goes away or misbehaves in an unlucky moment must not leave the others waiting for ever."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from spanbridge.limits import Limits
from spanbridge.manifests.model import Rule

from .stage import FakeProcess, Stage, limits
from .wire import Said, encode, encode_control


class Scene:
    """A stage with a front end that keeps what it hears."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.heard: list[Said] = []
        stage.front.on_heard = self.heard.append
        stage.begin()

    def tell(self, *frames: bytes) -> None:
        """From the front end, in one chunk if it fits into the pipe."""
        self.stage.front.say(b"".join(frames))
        self.stage.front.write()
        self.stage.turn(3)

    def open(self, ident: str, payload: str = "one", **members: Any) -> FakeProcess:
        """Open a channel; the process that was started last."""
        self.tell(encode_control(command="open", channel=ident, payload=payload, **members))
        return self.stage.processes[-1]

    def open_internal(self, ident: str, payload: str, **members: Any) -> None:
        """Open a channel that the bridge serves itself."""
        self.tell(encode_control(command="open", channel=ident, payload=payload, **members))

    def greet(self, process: FakeProcess, *more: bytes) -> None:
        self.say(process, encode_control(command="init", version=1), *more)

    def say(self, process: FakeProcess, *frames: bytes) -> None:
        process.say(b"".join(frames))
        process.write()
        self.stage.turn(3)

    def of(self, ident: str) -> list[Any]:
        """What the front end has heard of a channel."""
        self.stage.front.read()
        return [one.told for one in self.heard if one.channel == ident]

    def closes(self, ident: str) -> list[str | None]:
        return [told.get("problem") for told in self.of(ident) if isinstance(told, dict) and told["command"] == "close"]

    def answers(self) -> bool:
        """Whether the front end is still read, and answered."""
        before = len(self.heard)
        self.stage.front.say(encode_control(command="ping", before=before))
        self.stage.settle()
        return any(one.told == {"command": "pong", "before": before} for one in self.heard)


Play = Callable[..., Scene]


@pytest.fixture
def play() -> Iterator[Play]:
    """Sets a scene with these limits. One rule for each of the payloads one, two, three, many (a helper a tag)."""
    stages: list[Stage] = []

    def begin(chosen: Limits | None = None, *, pipe_bytes: int = 4_096) -> Scene:
        rules = [
            *(Rule("test", at, "", {"payload": name}, (name,)) for at, name in enumerate(("one", "two", "three"))),
            Rule("test", 9, "", {"payload": "many"}, ("many", "${tag}")),
        ]
        stages.append(Stage(rules, limits=chosen or limits(), pipe_bytes=pipe_bytes))
        return Scene(stages[-1])

    yield begin
    for stage in reversed(stages):  # each has patched what the one before it had
        stage.close()


def test_two_helpers_exit_at_once(play: Play) -> None:
    """What is said of the first waits to be written when the second is looked at."""
    scene = play()
    one, two = scene.open("a", "one"), scene.open("b", "two")
    scene.greet(one)
    scene.greet(two)
    one.exit()
    two.exit()
    scene.stage.turn(4)
    assert scene.closes("a") == scene.closes("b") == ["terminated"]


def test_a_helper_speaks_while_something_else_waits_to_be_written(play: Play) -> None:
    scene = play()
    one, two = scene.open("a", "one"), scene.open("b", "two")
    scene.greet(one)
    scene.greet(two)
    one.exit()
    two.say(encode("b", b"first"))
    two.write()
    scene.stage.turn(4)
    scene.say(two, encode("b", b"second"))
    assert scene.of("b") == [b"first", b"second"]


def test_a_helper_forges_in_the_chunk_of_its_init_when_its_queue_is_full(play: Play) -> None:
    """Its outbox is found full just after its end: that must not keep the front end from being read."""
    scene = play(limits(helper_queue_bytes=5_000), pipe_bytes=65_536)
    process = scene.open("a")
    scene.tell(*[encode("a", bytes(1_000))] * 40)
    scene.greet(process, encode("not-mine", b"x"))
    scene.stage.settle()
    assert scene.closes("a") == ["protocol-error"]
    assert scene.answers()


def test_a_helper_that_ends_with_a_full_queue_frees_the_front_end(play: Play) -> None:
    for how in ("exits", "forges", "hangs up"):
        scene = play(limits(helper_queue_bytes=5_000))
        process = scene.open("a")
        scene.greet(process)
        scene.stage.front.say(encode("a", bytes(1_000)) * 30)
        for _ in range(10):
            scene.stage.front.write()
            scene.stage.turn(2)
        assert scene.stage.front.unsaid or not scene.stage.front.idle
        if how == "exits":
            process.exit()
        elif how == "forges":
            scene.say(process, encode("not-mine", b"x"))
        else:
            process.hang_up()
            scene.stage.turn(3)
            process.exit()
        scene.stage.settle()
        assert len(scene.closes("a")) == 1
        assert scene.answers()


def test_a_helper_that_reads_no_more_frees_the_front_end(play: Play) -> None:
    """What waits for it is lost at once; it has a moment to exit, then it is ended."""
    scene = play(limits(helper_queue_bytes=5_000, last_words_seconds=1.0))
    process = scene.open("a")
    scene.greet(process)
    scene.stage.front.say(encode("a", bytes(1_000)) * 30)
    scene.stage.front.write()
    scene.stage.turn(4)
    process.stop_reading()
    for _ in range(6):
        scene.stage.front.write()
        scene.stage.turn(2)
    scene.stage.turns.skip(1.5)
    scene.stage.settle()
    assert scene.closes("a") == ["terminated"]
    assert scene.answers()


def test_a_stuck_helper_frees_the_front_end(play: Play) -> None:
    scene = play(limits(helper_queue_bytes=5_000, stuck_seconds=30.0))
    process = scene.open("a")
    scene.greet(process)
    scene.stage.front.say(encode("a", bytes(1_000)) * 60)
    for _ in range(10):
        scene.stage.front.write()
        scene.stage.turn(2)
    scene.stage.turns.skip(20)
    process.read(4_096)  # not stuck yet
    scene.stage.turn(2)
    scene.stage.turns.skip(20)
    assert scene.closes("a") == []
    for _ in range(2):
        scene.stage.turns.skip(31)
    assert scene.closes("a") == ["timeout"]
    assert scene.answers()


def test_a_helper_that_waits_for_the_front_end_to_read_is_not_stuck(play: Play) -> None:
    """Its own output is not read, since the front end takes none: however long that lasts, it is not to blame."""
    scene = play(limits(helper_queue_bytes=5_000, read_bytes=8_192, stuck_seconds=30.0))
    process = scene.open("a")
    scene.greet(process)
    process.say(encode("a", bytes(1_000)) * 200)
    scene.stage.front.say(encode("a", bytes(1_000)) * 60)
    for _ in range(40):
        process.write()
        scene.stage.front.write()
        scene.stage.turn(2)
    assert process.unsaid
    assert scene.stage.front.unsaid
    for _ in range(5):
        scene.stage.turns.skip(31)
        scene.stage.turn(2)
    # What it says is read again: from here on it must take something.
    for _ in range(400):
        process.write()
        scene.stage.turn()
        scene.stage.front.read()
    assert len(scene.of("a")) == 200
    assert scene.closes("a") == []
    scene.stage.turns.skip(29)
    assert scene.closes("a") == []
    for _ in range(2):
        scene.stage.turns.skip(31)
    assert scene.closes("a") == ["timeout"]
    assert scene.answers()


def test_what_an_exited_helper_had_written_whole_goes_out_however_slow_the_front_end(play: Play) -> None:
    """Even if the bridge notices by a failed write that it is gone."""
    scene = play(limits(last_words_seconds=0.5))
    process = scene.open("a")
    scene.greet(process)
    said = [encode("a", b"%d" % number * 100) for number in range(100)]
    process.say(b"".join(said))
    for _ in range(10):  # until the pipes on the way are full
        process.write()
        scene.stage.turn(2)
    written = len(b"".join(said)) - len(process.unsaid)
    process.exit()
    scene.stage.turn(3)
    scene.tell(encode("a", b"for nobody"))
    scene.stage.turns.skip(2)
    scene.stage.turns.skip(2)
    scene.stage.settle()
    whole = sum(1 for number in range(100) if len(b"".join(said[: number + 1])) <= written)
    assert scene.of("a")[:-1] == [b"%d" % number * 100 for number in range(whole)]
    assert scene.closes("a") == ["terminated"]


def test_an_exited_helper_has_no_more_opens_however_slow_the_front_end(play: Play) -> None:
    scene = play()
    one, two = scene.open("a", "one"), scene.open("b", "two")
    scene.greet(one)
    scene.greet(two)
    two.say(encode("b", bytes(1_000)) * 200)
    for _ in range(10):  # until the pipes on the way are full
        two.write()
        scene.stage.turn(2)
    one.exit()
    scene.stage.turn(3)
    another = scene.open("c", "one")
    assert another not in (one, two)
    scene.greet(another, encode("c", b"served"))
    scene.stage.settle()
    assert scene.closes("a") == ["terminated"]
    assert scene.of("c") == [b"served"]


@pytest.mark.parametrize("greets", [False, True])
def test_nor_has_one_that_exits_before_its_init_was_read(play: Play, greets: bool) -> None:
    scene = play()
    one, two = scene.open("a", "one"), scene.open("b", "two")
    scene.greet(two)
    two.say(encode("b", bytes(1_000)) * 200)
    for _ in range(10):  # until the pipes on the way are full
        two.write()
        scene.stage.turn(2)
    if greets:
        one.say(encode_control(command="init", version=1))
        one.write()
    one.exit()
    scene.stage.turn(5)
    another = scene.open("c", "one")
    assert another not in (one, two)
    scene.greet(another, encode("c", b"served"))
    scene.stage.settle()
    assert scene.of("c") == [b"served"]


def test_all_that_an_exited_helper_had_written_counts_after_its_last_close(play: Play) -> None:
    """It answers the front end's close of one channel after it has closed the other."""
    scene = play()
    one, two = scene.open("a", "one"), scene.open("b", "two")
    scene.open("c", "one")
    scene.greet(one)
    scene.greet(two)
    scene.tell(encode_control(command="close", channel="a"))
    two.say(encode("b", bytes(1_000)) * 200)
    for _ in range(10):  # until the pipes on the way are full
        two.write()
        scene.stage.turn(2)
    one.say(encode_control(command="close", channel="c") + encode_control(command="close", channel="a"))
    one.write()
    one.exit()
    scene.stage.settle()
    assert len(scene.closes("c")) == len(scene.closes("a")) == 1


def test_what_an_exited_helper_had_written_waits_in_its_pipe(play: Play) -> None:
    scene = play(limits(read_bytes=500))
    process = scene.open("a")
    scene.greet(process)
    process.say(encode("a", b"x" * 100) * 200)
    for _ in range(30):
        process.write()
        scene.stage.turn()
    process.exit()
    scene.stage.turn(3)
    assert scene.stage.bridge._front.link.queued <= 2 * 500
    scene.stage.settle()
    assert scene.closes("a") == ["terminated"]


def test_a_helper_that_is_slow_to_answer_closes_lives_on(play: Play) -> None:
    """More closed channels than are remembered: what it says of one that was forgotten is dropped."""
    scene = play(limits(closed_ids=5))
    process = scene.open("stays")
    scene.greet(process)
    for number in range(20):
        scene.tell(
            encode_control(command="open", channel=f"c{number}", payload="one"),
            encode_control(command="close", channel=f"c{number}"),
        )
    scene.stage.settle()
    for number in range(20):
        scene.say(
            process,
            encode_control(command="ready", channel=f"c{number}"),
            encode(f"c{number}", b"late"),
            encode_control(command="close", channel=f"c{number}"),
        )
    scene.say(process, encode("stays", b"here"))
    scene.stage.settle()
    assert scene.of("stays") == [b"here"]
    assert not any(isinstance(told, bytes) for number in range(20) for told in scene.of(f"c{number}"))


def test_two_opens_that_need_room_at_once(play: Play) -> None:
    """One idle helper makes room for one new one, not for two."""
    scene = play(limits(helpers_per_rule=1))
    scene.greet(scene.open("a", "many", tag="1"))
    scene.tell(encode_control(command="close", channel="a"))
    scene.tell(
        encode_control(command="open", channel="b", payload="many", tag="2"),
        encode_control(command="open", channel="c", payload="many", tag="3"),
    )
    scene.stage.settle()
    scene.stage.turn(3)
    assert len([process for process in scene.stage.processes if process.running]) <= 1
    assert scene.closes("c") == ["internal-error"]
    scene.greet(scene.stage.processes[1], encode("b", b"served"))
    assert scene.of("b") == [b"served"]
    assert scene.answers()


def test_nothing_is_done_after_the_last_word(play: Play) -> None:
    """What was read after the frame that ended the session is not acted on."""
    scene = play(pipe_bytes=65_536)
    stage = scene.stage
    stage.front.say(encode_control(command="nothing", channel=1))
    stage.front.write()
    for number in range(50):
        stage.front.say(
            encode_control(command="open", channel=f"c{number}", payload="one") + encode_control(command="ping")
        )
        stage.front.write()
        stage.turns.turn()
    stage.front.hang_up()
    stage.turns.turn(20)
    stage.front.read()
    assert [one.told["command"] for one in scene.heard] == ["init"]
    assert scene.heard[0].told["problem"] == "protocol-error"
    assert stage.processes == []


@pytest.mark.parametrize("member", ["code", "self", "args", "a b", "", "members"])
def test_a_refusal_with_odd_members_refuses_a_channel_and_no_more(play: Play, member: str) -> None:
    scene = play()
    process = scene.open("a")
    scene.say(process, encode_control(command="init", problem="no-thanks", **{member: "x"}))
    scene.stage.settle()
    assert scene.of("a") == [{"command": "close", "channel": "a", "problem": "no-thanks", member: "x"}]
    assert scene.answers()


def test_a_refusal_that_is_nested_as_deep_as_can_be_read(play: Play) -> None:
    """It is written from deeper in the program than it was read: there may be no room left."""
    scene = play()
    for depth in range(860, 1_000, 4):
        process = scene.open(f"c{depth}")
        nested = b"[" * depth + b"]" * depth
        payload = b'{"command": "init", "problem": "no-thanks", "x": ' + nested + b"}"
        process.say(encode("", payload))
        scene.stage.settle()
        assert len(scene.closes(f"c{depth}")) == 1
    assert scene.answers()


@pytest.mark.parametrize("state", ["starting", "ready", "ending"])
def test_a_session_that_is_cancelled_ends_its_helpers(play: Play, state: str) -> None:
    scene = play()
    process = scene.open("a")
    if state != "starting":
        scene.greet(process)
    if state == "ending":
        scene.say(process, encode("not-mine", b"x"))
    scene.stage.session.cancel()
    scene.stage.turns.turn(3)
    process.exit()
    scene.stage.turns.turn(10)
    assert scene.stage.session.cancelled()


def test_a_session_that_is_cancelled_while_a_helper_waits_for_room(play: Play) -> None:
    scene = play(limits(helpers_per_rule=1))
    scene.greet(scene.open("a", "many", tag="1"))
    scene.tell(
        encode_control(command="close", channel="a"),
        encode_control(command="open", channel="b", payload="many", tag="2"),
    )
    scene.stage.session.cancel()
    scene.stage.turns.turn(3)
    scene.stage.processes[0].exit()
    scene.stage.turns.turn(10)
    assert scene.stage.session.cancelled()


def test_helpers_take_turns_at_a_slow_front_end(play: Play) -> None:
    scene = play()
    processes = [scene.open(name, name) for name in ("one", "two", "three")]
    for process, name in zip(processes, ("one", "two", "three"), strict=True):
        scene.greet(process)
        process.say(encode(name, bytes(200)) * 2_000)
    for _ in range(300):
        for process in processes:
            process.write()
        scene.stage.turn()
        scene.stage.front.read(1_000)
    counts = [len(scene.of(name)) for name in ("one", "two", "three")]
    assert sum(counts) > 500
    assert max(counts) - min(counts) <= 100


def test_a_front_end_that_does_not_read_stops_the_helpers(play: Play) -> None:
    scene = play(limits(read_bytes=8_192))
    process = scene.open("a")
    scene.greet(process)
    process.say(encode("a", bytes(1_000)) * 200)
    for _ in range(200):
        process.write()
        scene.stage.turn()
    taken = 200 * len(encode("a", bytes(1_000))) - len(process.unsaid)
    assert taken <= 3 * 4_096 + 2 * 8_192
    scene.stage.settle()
    assert len(scene.of("a")) == 200


def test_a_helper_that_does_not_read_stops_the_front_end_and_no_other_helper(play: Play) -> None:
    scene = play(limits(helper_queue_bytes=20_000, read_bytes=8_192))
    stuck, well = scene.open("a", "one"), scene.open("b", "two")
    scene.greet(stuck)
    scene.greet(well)
    scene.stage.front.say(encode("a", bytes(1_000)) * 200)
    for _ in range(100):
        scene.stage.front.write()
        scene.stage.turn()
    assert len(scene.stage.front.unsaid) > 150_000
    scene.say(well, encode("b", b"still here"))
    assert scene.of("b") == [b"still here"]
    scene.stage.settle()
    assert scene.stage.front.idle
