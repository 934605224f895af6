"""What fuzzing has reached so far is reached again; see `targets` for what must hold."""

import pytest

from .inputs import MOST_BYTES, inputs
from .targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    found = inputs(target)
    assert found
    for number, data in enumerate(found, 1):
        try:
            TARGETS[target](data)
        except Exception as error:
            error.add_note(f"line {number}: {data[:200]!r}")
            raise


def test_the_corpus_is_small() -> None:
    assert sum(len(data) for target in TARGETS for data in inputs(target)) <= MOST_BYTES
