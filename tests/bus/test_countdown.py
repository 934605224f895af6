"""When a session that nobody uses ends, without a clock (docs/internal-bus.md, "session-control")."""

from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spanbridge.payloads.countdown import (
    GRACE_SECONDS,
    WARNING_SECONDS,
    Countdown,
    Counter,
    End,
    Event,
    Logout,
)

from ..protocol.determined import examples


def run(countdown: Countdown, until: float = inf, begin: float = 0) -> list[tuple[float, Event]]:
    """All events with their times, each asked for when it is due."""
    found: list[tuple[float, Event]] = []
    while (due := countdown.due) is not None and due <= until:
        found += [(due, event) for event in countdown.advance(max(begin, due))]
    return found


@pytest.mark.parametrize("begin", [0.0, 0.1, 12_345.678_9, 1e9 + 0.3])
def test_a_minute_in_which_nobody_does_anything(begin: float) -> None:
    events = run(Countdown(60, begin))
    expected: list[tuple[float, Event]] = [(30 + second, Counter(30 - second)) for second in range(30)]
    expected += [(60, Logout()), (70, End())]
    assert [event for _, event in events] == [event for _, event in expected]
    assert [time - begin for time, _ in events] == pytest.approx([time for time, _ in expected], abs=1e-3)


def test_whoever_is_active_puts_it_off() -> None:
    countdown = Countdown(60, 0)
    assert run(countdown, 29) == []
    countdown.active(29)
    assert run(countdown, 59 - 0.5) == []
    assert run(countdown, 61) == [(59, Counter(30)), (60, Counter(29)), (61, Counter(28))]
    countdown.active(61.5)
    assert countdown.due == 91.5
    assert countdown.advance(62) == []
    assert run(countdown)[:2] == [(91.5, Counter(30)), (92.5, Counter(29))]


def test_once_it_is_over_nobody_puts_it_off() -> None:
    countdown = Countdown(60, 0)
    run(countdown, 60)
    assert countdown.over
    countdown.active(60.5)
    assert countdown.due == 70
    assert countdown.advance(69) == []
    assert countdown.advance(70) == [End()]
    assert countdown.advance(71) == []
    assert run(countdown) == []


def test_of_counters_that_were_slept_through_the_last_is_told() -> None:
    countdown = Countdown(60, 0)
    assert countdown.advance(34.2) == [Counter(26)]
    assert countdown.due == 35
    assert countdown.advance(1_000) == [Logout()]
    assert countdown.due == 1_010  # the front end has its time all the same


def test_a_timer_may_come_a_little_early() -> None:
    countdown = Countdown(60, 0)
    assert countdown.advance(29.999_9) == [Counter(30)]
    assert countdown.advance(29.999_99) == []
    assert countdown.advance(59.999_9) == [Logout()]


def test_less_time_than_the_warning_takes() -> None:
    assert [event for _, event in run(Countdown(2, 0))] == [Counter(2), Counter(1), Logout(), End()]


class AnyUse(RuleBasedStateMachine):
    """Time passes, somebody is active: what is told is what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.last = 0.0
        self.countdown = Countdown(90, 0)
        self.over_at: float | None = None
        self.events: list[Event] = []

    @rule(seconds=st.integers(0, 400).map(lambda tenths: tenths / 10))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for event in self.countdown.advance(self.now):
            self.events.append(event)
            left = self.last + 90 - self.now
            match event:
                case Counter(told):
                    assert told == ceil(left - 0.001)
                    assert 0 < told <= WARNING_SECONDS
                case Logout():
                    assert left <= 0.001
                    self.over_at = self.now
                case End():
                    assert self.over_at is not None
                    assert self.now >= self.over_at + GRACE_SECONDS - 0.001

    @precondition(lambda self: self.over_at is None)
    @rule()
    def be_active(self) -> None:
        self.countdown.active(self.now)
        self.last = self.now

    @invariant()
    def what_is_due_lies_ahead_until_it_has_ended(self) -> None:
        due = self.countdown.due
        assert (due is None) == (End() in self.events)
        assert due is None or due > self.now - 0.001
        assert self.countdown.over == (Logout() in self.events)
        assert self.events.count(Logout()) <= 1


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = examples(50, steps=30)


@examples(50)
@given(st.floats(1, 100_000), st.floats(0, 1e9))
def test_any_timeout_comes_to_an_end(timeout: float, begin: float) -> None:
    events = [event for _, event in run(Countdown(timeout, begin), begin=begin)]
    assert events[-2:] == [Logout(), End()]
    counters = [event.seconds for event in events if isinstance(event, Counter)]
    assert counters == list(range(min(30, ceil(timeout - 0.001)), 0, -1))
