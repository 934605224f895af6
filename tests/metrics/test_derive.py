"""Rates and differences."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.payloads.metrics.derive import DELTA, RATE, derive
from spanbridge.payloads.metrics.values import Measured, Taken, Value

numbers = st.integers(0, (1 << 64) - 1)
values = st.one_of(numbers, st.just(False))
instances = st.dictionaries(st.sampled_from("abcde"), values)


def at(moment: float, measured: Measured) -> Taken:
    return Taken(moment, moment, measured)


def obvious(how: str, value: Value, last: Value, seconds: float, counter: bool) -> Value:
    if value is False or last is False or (counter and value < last):
        return False
    return value - last if how == DELTA else (value - last) / seconds


@settings(deadline=None)
@given(values, values, st.floats(0.001, 1e6), st.sampled_from([RATE, DELTA]), st.booleans())
def test_of_one_value(value: Value, last: Value, seconds: float, how: str, counter: bool) -> None:
    found = derive(how, at(seconds, value), at(0.0, last), counter=counter)
    expected = obvious(how, value, last, seconds, counter)
    assert found == expected
    assert (found is False) == (expected is False)
    assert isinstance(found, int) or how == RATE


@settings(deadline=None)
@given(instances, instances, st.sampled_from([RATE, DELTA]))
def test_of_instances_by_name(now: dict[str, Value], before: dict[str, Value], how: str) -> None:
    found = derive(how, at(2.0, now), at(0.0, before), counter=True)
    assert found == {name: obvious(how, value, before.get(name, False), 2.0, True) for name, value in now.items()}


def test_as_it_is() -> None:
    assert derive(None, at(1.0, {"a": 1, "b": False}), None, counter=True) == {"a": 1, "b": False}


def test_the_first_has_nothing_to_differ_from() -> None:
    assert derive(RATE, at(1.0, 5), None, counter=True) is False
    assert derive(DELTA, at(1.0, {"a": 5}), None, counter=True) == {"a": False}


def test_no_time_between() -> None:
    assert derive(RATE, at(1.0, 5), at(1.0, 4), counter=True) is False


def test_what_is_no_counter_may_fall() -> None:
    assert derive(DELTA, at(1.0, 5), at(0.0, 9), counter=False) == -4
    assert derive(RATE, at(2.0, 5), at(0.0, 9), counter=False) == -2.0
    assert derive(DELTA, at(1.0, 5), at(0.0, 9), counter=True) is False
