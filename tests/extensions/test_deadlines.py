"""Requests that have so long each: one timer for all."""

from collections.abc import Callable
from typing import Any, cast

from spanbridge.extensions.host.deadlines import Deadlines


class Loop:
    """An event loop whose time is ours."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> object:
        self.timers.append((when, call))
        return call

    def call_soon(self, call: Callable[[], None]) -> None:
        call()

    def go_to(self, now: float) -> None:
        self.now = now
        while due := [timer for timer in self.timers if timer[0] <= now]:
            self.timers.remove(due[0])
            due[0][1]()


def test_each_is_late_at_its_time_unless_it_was_cancelled() -> None:
    loop, late = Loop(), list[str]()
    deadlines = Deadlines(cast("Any", loop), 30)
    first = deadlines.begin(lambda: late.append("first"))
    loop.go_to(10)
    second = deadlines.begin(lambda: late.append("second"))
    deadlines.begin(lambda: late.append("third"))
    assert len(loop.timers) == 1
    deadlines.cancel(second)
    loop.go_to(29)
    assert late == []
    loop.go_to(30)
    assert late == ["first"]
    deadlines.cancel(first)
    loop.go_to(40)
    assert late == ["first", "third"]
    assert loop.timers == []


def test_nothing_is_left_of_those_that_were_in_time() -> None:
    loop = Loop()
    deadlines = Deadlines(cast("Any", loop), 30)
    for _ in range(100):
        deadlines.cancel(deadlines.begin(lambda: None))
        assert len(loop.timers) == 1
    loop.go_to(30)
    assert loop.timers == []  # an idle one wakes no more
    deadlines.begin(lambda: None)
    assert [when for when, _ in loop.timers] == [60]
