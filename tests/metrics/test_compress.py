"""What is left out can be filled in again, and no more is sent than must be."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.payloads.metrics.compress import Compressed, Point, compress
from spanbridge.payloads.metrics.values import Value

values = st.one_of(st.integers(0, 3), st.just(False), st.floats(0, 2))


@st.composite
def series(draw: st.DrawFn) -> list[Point]:
    """Points of one form."""
    form = draw(st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=1, max_size=5))
    point = st.tuples(*(values if size is None else st.lists(values, min_size=size, max_size=size) for size in form))
    return [list(each) for each in draw(st.lists(point, min_size=2, max_size=5))]


def filled(packed: Compressed, last: Point) -> Point:
    """As a front end does it."""
    point: Point = []
    for place, before in enumerate(last):
        now = packed[place] if place < len(packed) else None
        if isinstance(before, list):
            given = now if isinstance(now, list) else []
            told = [given[at] if at < len(given) else None for at in range(len(before))]
            point.append([old if new is None else new for new, old in zip(told, before, strict=True)])
        else:
            assert not isinstance(now, list)
            point.append(before if now is None else now)
    return point


def exactly(point: Point) -> str:
    """0 and False differ; 1 and 1.0 do not matter to anybody."""

    def one(value: Value) -> str:
        return "false" if value is False else repr(float(value))

    return repr([list(map(one, each)) if isinstance(each, list) else one(each) for each in point])


@settings(deadline=None)
@given(series())
def test_a_front_end_has_all_of_it(points: list[Point]) -> None:
    known = points[0]
    for before, now in itertools.pairwise(points):
        known = filled(compress(now, before), known)
        assert exactly(known) == exactly(now)


@settings(deadline=None)
@given(series())
def test_nothing_is_sent_that_is_known(points: list[Point]) -> None:
    last, now = points[:2]
    packed = compress(now, last)
    assert not packed or packed[-1] not in (None, [])
    for place, each in enumerate(packed):
        before = last[place]
        if isinstance(each, list):
            assert isinstance(before, list)
            assert not each or each[-1] is not None
            assert all(value is None or exactly([value]) != exactly([before[at]]) for at, value in enumerate(each))
        else:
            assert each is None or exactly([each]) != exactly([before])


def test_examples() -> None:
    assert compress([1, [2, 3], 4], [1, [2, 3], 4]) == []
    assert compress([1, [2, 3], 5], [1, [2, 3], 4]) == [None, [], 5]
    assert compress([1, [2, 9], 4], [1, [2, 3], 4]) == [None, [None, 9]]
    assert compress([1, [9, 3], 4], [7, [2, 3], 4]) == [1, [9]]
    assert compress([False, [], 0], [0, [], False]) == [False, [], 0]
