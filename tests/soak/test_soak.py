"""A few seconds of chaos. `make soak` takes minutes."""

from pathlib import Path

from .run import ROUNDS, Soak

SEED = 7


def test_a_few_seconds(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "home", SEED, seconds=4.5)
    soak.run()
    assert soak.model.frames["up"]
    assert soak.model.frames["down"]
    assert soak.done["kill"]
    assert soak.done["reload"]
    assert len(soak.usage) == ROUNDS
