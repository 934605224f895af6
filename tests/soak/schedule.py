"""What is done, and when. All chance is here: the same seed makes the same decisions, whatever the bridge does.

Decisions speak of places (channel 17, helper 3), not of what is there at the time: `run` acts on what it finds.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple, TypeAlias

CHANNELS: Final = 200
HELPERS: Final = 20
PACKAGES: Final = 5
PER_PACKAGE: Final = HELPERS // PACKAGES
LONGEST_DEAF: Final = 6.0  # seconds
BREAK_SECONDS: Final = 4.0  # from one break to the next, in the mean

_SIZES: Final = ((30, 0, 16), (40, 17, 2_000), (18, 2_001, 70_000), (10, 70_001, 300_000), (2, 300_001, 1 << 20))
_LARGE: Final = 6 << 20  # once in a while
_MOST_FRAMES: Final = 12  # of an errand
_TOO_LARGE: Final = 1 << 20


class Send(NamedTuple):
    """Data frames of these sizes towards the helper; opens the channel if it is not open."""

    place: int
    helper: int  # whose it becomes where it is opened
    sizes: tuple[int, ...]
    pause: float  # seconds until the next decision


class Say(NamedTuple):
    """Have the helper send data frames of these sizes; opens the channel if it is not open."""

    place: int
    helper: int
    sizes: tuple[int, ...]
    pause: float


class Close(NamedTuple):
    """Close the channel. Without `gently` at once; with it `done`, and the helper closes it."""

    place: int
    gently: bool
    reopen: bool  # as soon as the bridge has heeded the close


class Task(NamedTuple):
    """Something that the bridge serves itself, if that place has nothing to do."""

    place: int
    kind: int  # an index
    sizes: tuple[int, ...]
    cut: bool  # closed at once
    pause: float


Traffic: TypeAlias = Send | Say | Close


class Kill(NamedTuple):
    helper: int
    within_a_frame: bool  # it does it itself; else from outside


class Stop(NamedTuple):
    helper: int
    seconds: float


class Deaf(NamedTuple):
    """The front end reads nothing, and goes on sending."""

    seconds: float


class Break(NamedTuple):
    """Kill who serves errands, and bring it back, where it does not come by itself, after so many seconds."""

    partner: int  # an index
    heard: bool  # as soon as an errand of it has heard something; else as soon as one is on its way
    seconds: float


class Edit(NamedTuple):
    """A change of manifests, then a reload.

    `kind`: "shuffle", which changes nothing that matters to a helper; "renew" a rule; have its helper "fail" to start;
    "remove" a package, "break" it. What fails, was removed or broken comes back by the next edit of the same package.
    """

    kind: str
    helper: int


Fault: TypeAlias = Kill | Stop | Deaf | Edit


def traffic(seed: int) -> Iterator[Traffic]:
    """Without end. Some channels are busy and some are quiet, and who is which changes."""
    chance = Random(f"traffic {seed}")
    while True:
        weights = [chance.paretovariate(0.8) for _ in range(CHANNELS)]
        for place in chance.choices(range(CHANNELS), weights, k=500):
            yield _decision(chance, place)
        for place in range(CHANNELS):  # so that each is there
            yield Send(place, chance.randrange(HELPERS), (0,), 0.0)


def tasks(seed: int, places: int, weights: Sequence[int]) -> Iterator[Task]:
    """Without end."""
    chance = Random(f"tasks {seed}")
    kinds = range(len(weights))
    while True:
        (kind,) = chance.choices(kinds, weights)
        sizes = tuple(size for size in _sizes(chance)[:_MOST_FRAMES] if size < _TOO_LARGE)
        yield Task(chance.randrange(places), kind, sizes, chance.random() < 0.1, chance.expovariate(60))


def _decision(chance: Random, place: int) -> Traffic:
    kind = chance.random()
    if kind < 0.05:
        return Close(place, gently=chance.random() < 0.5, reopen=chance.random() < 0.7)
    pause = chance.expovariate(100) if chance.random() < 0.2 else 0.0
    make = Send if kind < 0.55 else Say
    return make(place, chance.randrange(HELPERS), _sizes(chance), pause)


def _sizes(chance: Random) -> tuple[int, ...]:
    if chance.random() < 0.004:
        return (chance.randint(1 << 20, _LARGE),)
    _, low, high = chance.choices(_SIZES, [weight for weight, _, _ in _SIZES])[0]
    count = chance.randint(1, 40 if high < 10_000 else 3)
    if chance.random() < 0.5:  # frames alike are cut from the stream by another way than others
        return (chance.randint(low, high),) * count
    return tuple(chance.randint(low, high) for _ in range(count))


def faults(seed: int) -> Iterator[tuple[float, Fault]]:
    """Without end: each with the seconds since the one before it."""
    chance = Random(f"faults {seed}")
    while True:
        wait = chance.expovariate(3)
        helper = chance.randrange(HELPERS)
        kind = chance.random()
        if kind < 0.35:
            yield wait, Kill(helper, within_a_frame=chance.random() < 0.4)
        elif kind < 0.65:
            yield wait, Stop(helper, chance.uniform(6, 8) if chance.random() < 0.08 else chance.expovariate(4))
        elif kind < 0.7:
            yield wait, Deaf(chance.uniform(4.5, LONGEST_DEAF) if chance.random() < 0.1 else chance.expovariate(2))
        else:
            yield (
                wait,
                Edit(chance.choices(["shuffle", "renew", "fail", "remove", "break"], [4, 3, 2, 2, 1])[0], helper),
            )


def breaks(seed: int, partners: int) -> Iterator[tuple[float, Break]]:
    """Without end: each with the seconds since the one before it."""
    chance = Random(f"breaks {seed}")
    while True:
        made = Break(chance.randrange(partners), chance.random() < 0.6, chance.uniform(0, 0.5))
        yield chance.expovariate(1 / BREAK_SECONDS), made
