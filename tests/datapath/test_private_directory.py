"""A directory of ours goes, whoever else tidies in it at the same moment."""

import os
from pathlib import Path

import pytest

from spanbridge.wire.private_directory import private_directory, remove_directory


def test_a_file_that_its_own_program_removes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh-agent removes its socket as it ends: listed, and gone a moment later."""
    path = Path(private_directory({"XDG_RUNTIME_DIR": str(tmp_path)}, "spanbridge-agent-"))
    for name in ("first", "second"):
        (path / name).touch()
    listdir = os.listdir

    def list_and_lose(directory: str) -> list[str]:
        names = sorted(listdir(directory))
        os.unlink(path / names[0])
        return names

    monkeypatch.setattr("spanbridge.wire.private_directory.os.listdir", list_and_lose)
    remove_directory(str(path))
    monkeypatch.undo()
    assert listdir(tmp_path) == []
