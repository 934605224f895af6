"""Some seconds of chaos. `make soak` takes minutes."""

from pathlib import Path

import pytest

from .run import ROUNDS, Soak
from .site import site

SEED = 9


@pytest.mark.timeout(240)
def test_some_seconds(tmp_path: Path) -> None:
    with site(tmp_path / "home") as there:
        soak = Soak(there, SEED, seconds=15)
        soak.run()
    assert soak.model.frames["up"]
    assert soak.model.frames["down"]
    assert soak.done.total()
    assert soak.served.ended.total()
    assert len(soak.usage) == ROUNDS
