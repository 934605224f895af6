"""How much CPU time sampling may take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.payloads.metrics.budget import SHARE, Budget


def spend_all(budget: Budget, seconds: float, channels: list[tuple[float, float]]) -> list[float]:
    """Let channels, each with an interval and the cost of a sample, do what they may; what each spent."""
    allowances = [budget.join(0.0) for _ in channels]
    nexts = [0.0] * len(channels)
    spent = [0.0] * len(channels)
    while (now := min(nexts)) < seconds:
        which = nexts.index(now)
        interval, cost = channels[which]
        free = allowances[which].free_at(now)
        if free <= now:
            allowances[which].spend(now, cost)
            spent[which] += cost
            free = now
        nexts[which] = max(now + interval, free)
    return spent


def test_what_fits_is_not_held_up() -> None:
    assert spend_all(Budget(0.0), 60, [(1.0, 0.05)]) == [pytest.approx(0.05 * 60, abs=0.06)]
    assert spend_all(Budget(0.0), 60, [(1.0, 0.002)] * 10) == [pytest.approx(0.002 * 60, abs=0.003)] * 10


costs = st.lists(st.tuples(st.floats(0.001, 2), st.floats(0.00005, 0.2)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=30)
@given(costs)
def test_never_more_than_its_share(channels: list[tuple[float, float]]) -> None:
    seconds = 30.0
    spent = sum(spend_all(Budget(0.0), seconds, channels))
    most_at_once = sum(cost for _, cost in channels) + max(cost for _, cost in channels)
    assert spent <= SHARE * (seconds + 2) + most_at_once


def test_one_that_wants_all_leaves_something_for_the_others() -> None:
    greedy, modest = spend_all(Budget(0.0), 60, [(0.001, 0.0005), (1.0, 0.002)])
    assert modest == pytest.approx(0.002 * 60, abs=0.003)
    assert greedy > 0.05 * 60


def test_a_part_grows_when_others_leave() -> None:
    budget = Budget(0.0)
    first, second = budget.join(0.0), budget.join(0.0)
    first.spend(0.0, 10.0)  # of what all share
    first.spend(0.0, 1.0)
    both = first.free_at(0.0)
    second.leave()
    assert 0.0 < first.free_at(0.0) < both
