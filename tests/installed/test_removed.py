"""What becomes of a session whose program is removed, or replaced by another version, while it runs."""

import shutil
from pathlib import Path

from spanbridge.testing.home import Home
from spanbridge.testing.start import starting

from .conftest import Install


def test_what_cannot_be_loaded_any_more_is_refused_and_all_else_goes_on(
    install: Install, home: Home, tmp_path: Path
) -> None:
    binaries = install(tmp_path / "venv")
    (package,) = binaries.parent.glob("lib/python*/site-packages/spanbridge")
    with starting(home, [str(binaries / "spanbridge")]) as start:
        front = start().front_end
        front.open("a", "echo")
        front.expect("ready", "a")
        shutil.rmtree(package / "payloads" / "metrics")
        shutil.rmtree(package / "helpers" / "hosts")
        front.open("b", "metrics1", source="internal", metrics=[{"name": "memory.used"}])
        front.open("c", "echo", host="another")
        for channel in "bc":
            assert "log in again" in front.expect("close", channel, problem="internal-error")["message"]
        front.send("a", b"still here")
        assert front.data("a", 10) == b"still here"
