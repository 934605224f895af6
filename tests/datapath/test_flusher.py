"""What is written once a turn, and what is left until then."""

from collections.abc import Iterator

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
