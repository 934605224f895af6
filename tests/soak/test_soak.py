"""Some seconds of chaos. `make soak` takes minutes."""

from pathlib import Path

import pytest

from .run import ROUNDS, Soak
from .site import site

SEED = 9
# A machine with much else to do may let a helper wait for seconds.
PATIENT = {"stall_seconds": 40, "stuck_seconds": 40, "handshake_seconds": 40}


@pytest.mark.timeout(240)
def test_some_seconds(tmp_path: Path) -> None:
    with site(tmp_path / "home") as there:
        soak = Soak(there, SEED, seconds=15, limits=PATIENT)
        soak.run()
    assert soak.model.frames["up"]
    assert soak.model.frames["down"]
    assert soak.done.total()
    assert soak.served.ended.total()
    assert len(soak.usage) == ROUNDS
