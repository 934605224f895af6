"""The model says no where it must: a soak that cannot fail would show nothing."""

import json
from typing import Any

import pytest

from spanbridge.testing.frames import Frame

from .model import Life, Model, Rule, Violation
from .peer import Account, payload

SIZES = (40, 3, 2_000, 3)


def told(command: str, channel: str, **members: Any) -> Frame:
    return Frame("", json.dumps({"command": command, "channel": channel, **members}).encode())


def down(life: Life, number: int) -> Frame:
    return Frame(life.ident, payload(life.key, "down", number, SIZES[number]))


def account(life: Life) -> dict[str, Any]:
    """As its helper would tell it."""
    said = Account()
    for number, size in enumerate(SIZES):
        said.add(payload(life.key, "down", number, size))
    return {"key": life.key, "up": life.up.told(), "down": said.told(), "wrong": ""}


class World:
    """One rule, and channels of it that are served."""

    def __init__(self, **options: Any) -> None:
        self.model = Model([Rule("soak-0")], **options)
        self.rule = self.model.rules[0]
        self.a, self.b = self.opened("a"), self.opened("b")

    def opened(self, ident: str) -> Life:
        life = self.model.opened(ident, self.rule, now=100.0)
        self.hear(told("ready", ident, key=life.key, name="soak-0", pid=5, generation=0))
        self.model.ask(life, SIZES)
        return life

    def hear(self, *frames: Frame) -> None:
        for frame in frames:
            self.model.heard(frame, now=101.0)


def all_of(life: Life) -> list[Frame]:
    return [down(life, number) for number in range(len(SIZES))]


def test_a_life_in_peace() -> None:
    world = World()
    world.model.send(world.a, 10)
    world.model.done(world.a)
    world.hear(*all_of(world.a), told("done", "a", key=world.a.key), told("close", "a", **account(world.a)))
    world.hear(*all_of(world.b)[:2])
    world.model.close(world.b)
    assert world.model.owed() == [world.b]
    world.hear(down(world.b, 2))
    world.model.heeded(world.b)
    assert world.model.owed() == [world.b]
    world.hear(told("close", "b", **account(world.b)))
    assert world.model.owed() == []
    world.model.end_of_round()


def test_a_life_that_is_cut_short() -> None:
    world = World()
    world.hear(down(world.a, 0))
    world.model.hurt.add(5)
    world.hear(told("close", "a", problem="terminated"), told("close", "b", problem="terminated"))
    world.model.end_of_round()


def test_one_without_a_processor() -> None:
    """It is not to blame, nor is the bridge."""
    world = World(starved=lambda pid, now: pid == 5)
    world.hear(told("close", "a", problem="timeout"), told("close", "b", problem="terminated"))
    assert world.model.starved == 1
    world.model.end_of_round()


def lost(world: World) -> None:
    world.hear(down(world.a, 0), down(world.a, 2))


def doubled(world: World) -> None:
    world.hear(down(world.a, 0), down(world.a, 0))


def reordered(world: World) -> None:
    world.hear(down(world.a, 0), down(world.a, 3))


def mixed(world: World) -> None:
    world.hear(Frame("a", payload(world.b.key, "down", 0, SIZES[0])))


def of_an_earlier_life(world: World) -> None:
    world.model.close(world.a)
    world.model.heeded(world.a)
    world.hear(told("close", "a", **account(world.a)))
    world.opened("a")
    world.hear(down(world.a, 0))


def not_asked_for(world: World) -> None:
    world.hear(*all_of(world.a), Frame("a", b""))


def after_the_close(world: World) -> None:
    world.model.close(world.a)
    world.model.heeded(world.a)
    world.hear(down(world.a, 0))


def closed_for_no_reason(world: World) -> None:
    world.hear(told("close", "a", problem="terminated"))


def closed_by_a_limit_that_was_not_met(world: World) -> None:
    world.model.hurt.add(5)
    world.hear(told("close", "a", problem="timeout"))


def closed_twice(world: World) -> None:
    world.model.hurt.add(5)
    world.hear(told("close", "a", problem="terminated"), told("close", "a", problem="terminated"))


def closed_without_a_problem(world: World) -> None:
    world.model.hurt.add(5)
    world.hear(told("close", "a"))


def answered_twice(world: World) -> None:
    world.model.close(world.a)
    answer = account(world.a)
    world.hear(told("close", "a", **answer), told("close", "a", **answer))


def answered_after_the_next_life(world: World) -> None:
    world.model.close(world.a)
    world.model.heeded(world.a)
    answer = account(world.a)
    world.model.hurt.add(5)
    world.opened("a")
    world.hear(told("close", "a", problem="terminated"), told("close", "a", **answer))


def not_closed(world: World) -> None:
    world.model.hurt.add(5)
    world.hear(told("close", "a", problem="terminated"))
    world.model.end_of_round()


def not_answered(world: World) -> None:
    world.model.hurt.clear()
    for life in (world.a, world.b):
        world.model.close(life)
        world.model.heeded(life)
    world.hear(told("close", "a", **account(world.a)))
    world.model.end_of_round()


def less_has_arrived(world: World) -> None:
    world.model.close(world.a)
    answer = account(world.a)
    world.model.send(world.a, 10)
    world.hear(told("close", "a", **answer))


def less_came_than_was_sent(world: World) -> None:
    world.model.done(world.a)
    world.hear(down(world.a, 0), told("close", "a", **account(world.a)))


def something_else_has_arrived(world: World) -> None:
    world.model.close(world.a)
    world.hear(told("close", "a", **{**account(world.a), "wrong": "frame 3"}))


def ready_twice(world: World) -> None:
    world.hear(told("ready", "a", key=world.a.key, name="soak-0", pid=5, generation=0))


def a_forgery(world: World) -> None:
    world.hear(Frame("", b'{"command":"authorize","cookie":"1","challenge":"*"}'))


def a_channel_that_never_was(world: World) -> None:
    world.hear(told("ready", "zz"))


WRONGS = [
    lost,
    doubled,
    reordered,
    mixed,
    of_an_earlier_life,
    not_asked_for,
    after_the_close,
    closed_for_no_reason,
    closed_by_a_limit_that_was_not_met,
    closed_twice,
    closed_without_a_problem,
    answered_twice,
    answered_after_the_next_life,
    not_closed,
    not_answered,
    less_has_arrived,
    less_came_than_was_sent,
    something_else_has_arrived,
    ready_twice,
    a_forgery,
    a_channel_that_never_was,
]


@pytest.mark.parametrize("wrong", WRONGS)
def test_it_says_no(wrong: Any) -> None:
    world = World()
    with pytest.raises(Violation):
        wrong(world)


def test_the_smallest_frames_differ_too() -> None:
    frames = {payload("k", way, number, 4) for way in ("up", "down") for number in range(1_000)}
    assert len(frames) == 2_000
