"""When samples are due."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.payloads.metrics.pace import MS, Pace

WALL = 1_795_639_948_400
"""Milliseconds."""


def pace_of(interval: int) -> Pace:
    """One that begins when the monotonic clock is 0."""
    return Pace(interval, 0, WALL * MS)


def take(pace: Pace, at: int, clock_set_by: int = 0) -> bool:
    """It is woken so many milliseconds after it began."""
    return pace.take(at * MS, (WALL + at + clock_set_by) * MS)


def broken(pace: Pace) -> bool:
    return pace.broken


def test_on_time() -> None:
    pace = pace_of(500)
    for count in range(5):
        assert pace.due == count * 500 * MS
        assert take(pace, count * 500 + 3)
        assert pace.timestamp == WALL + count * 500
        assert broken(pace) == (count == 0)
        pace.told()
        pace.taken((count * 500 + 10) * MS)


def test_a_late_one_does_not_move_the_next() -> None:
    pace = pace_of(1000)
    assert take(pace, 900)
    pace.told()
    pace.taken(950 * MS)
    assert pace.due == 1000 * MS
    assert not broken(pace)


def test_held_up() -> None:
    pace = pace_of(1000)
    pace.told()
    assert not take(pace, 3200)
    assert pace.due == 4000 * MS
    assert broken(pace)
    assert take(pace, 4000)
    assert pace.timestamp == WALL + 4000


def test_a_slow_sample_or_a_slow_front_end() -> None:
    pace = pace_of(1000)
    assert take(pace, 0)
    pace.told()
    pace.taken(2500 * MS)
    assert pace.due == 3000 * MS
    assert broken(pace)


def test_the_clock_is_set() -> None:
    pace = pace_of(1000)
    assert take(pace, 0)
    pace.told()
    pace.taken(0)
    assert take(pace, 1000, clock_set_by=490)  # little by little
    assert not broken(pace)
    assert pace.timestamp == WALL + 1000
    pace.taken(1000 * MS)
    assert take(pace, 2000, clock_set_by=-3_600_000)
    assert broken(pace)
    assert pace.timestamp == WALL + 2000 - 3_600_000


def test_nothing_before_a_given_time() -> None:
    pace = pace_of(10)
    assert take(pace, 0)
    pace.told()
    pace.taken(MS)
    assert not broken(pace)
    pace.skip(100 * MS)
    assert pace.due == 100 * MS
    assert broken(pace)
    pace.skip(101 * MS)
    assert pace.due == 110 * MS


def first_not_before(now: int, due: int, interval: int) -> int:
    """Counted one by one."""
    while due < now:
        due += interval
    return due


@settings(deadline=None)
@given(st.integers(1, 1500), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4000)), max_size=20))
def test_against_an_obvious_model(interval: int, steps: list[tuple[int, int]]) -> None:
    """Each step is woken late by the first number, and then works for the second, in milliseconds."""
    pace = pace_of(interval)
    now, due, broken = 0, 0, True
    for late, busy in steps:
        now = max(now, due) + late
        held_up = now - due >= interval
        assert take(pace, now) != held_up
        if held_up:
            broken = True
            due = first_not_before(now, due, interval)
        else:
            assert (pace.timestamp, pace.broken) == (WALL + due, broken)
            pace.told()
            now += busy
            following = due + interval
            due = first_not_before(now, following, interval)
            broken = due != following
            pace.taken(now * MS)
        assert (pace.due, pace.broken) == (due * MS, broken)
