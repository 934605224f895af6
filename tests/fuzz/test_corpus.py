"""What fuzzing has reached so far is reached again; see `targets` for what must hold."""

import pytest

from .inputs import MOST_BYTES, files
from .targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    inputs = files(target)
    assert inputs
    for path in inputs:
        try:
            TARGETS[target](path.read_bytes())
        except Exception as error:
            error.add_note(f"input {path.name}: {path.read_bytes()[:200]!r}")
            raise


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for target in TARGETS for path in files(target)) <= MOST_BYTES
