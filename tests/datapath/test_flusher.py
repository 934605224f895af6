"""What is written once a turn, and what is left until then."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from .turns import Turns


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.close()


class Writer:
    """Notes when it is asked to write."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def flush(self) -> None:
        self._notes.append("written")


def test_what_nobody_waits_for_comes_after_what_is_written(turns: Turns) -> None:
    notes: list[str] = []

    def turn() -> None:
        turns.flusher.later(lambda: notes.append("later"))
        turns.flusher.add(Writer(notes))
        notes.append("put")

    turns.flusher.turn(turn)
    assert notes == ["put", "written", "later"]


def test_it_comes_at_the_end_of_a_turn_in_which_nothing_is_written(turns: Turns) -> None:
    notes: list[str] = []
    turns.flusher.later(lambda: notes.append("later"))
    assert notes == []
    turns.turn()
    assert notes == ["later"]


def test_what_it_has_to_write_goes_out_in_the_same_turn(turns: Turns) -> None:
    notes: list[str] = []
    turns.flusher.turn(turns.flusher.later, lambda: turns.flusher.add(Writer(notes)))
    assert notes == ["written"]


def test_one_that_raises_something_costs_the_others_nothing(turns: Turns) -> None:
    """In each of the ways in which a flush begins; the error is told to the event loop."""
    notes: list[str] = []

    class Broken:
        def flush(self) -> None:
            raise ValueError("broken")

    def fill() -> None:
        for _ in range(2):
            turns.flusher.add(Broken())
            turns.flusher.add(Writer(notes))
        turns.flusher.later(Broken().flush)
        turns.flusher.later(lambda: notes.append("later"))

    for begin in (fill, lambda: turns.loop.call_soon(turns.flusher.turn, fill)):
        begin()
        for _ in range(6):
            with suppress(AssertionError):  # that something has escaped from a callback
                turns.turn()
        assert notes == ["written", "written", "later"]
        assert [str(details["exception"]) for details in turns.errors] == ["broken"] * 3
        notes.clear()
        turns.errors.clear()
