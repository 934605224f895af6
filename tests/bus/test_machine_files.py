"""Replacing a file of cockpit/machines.d whole, or not at all."""

import os
from pathlib import Path

import pytest

from spanbridge.payloads.bus import machine_files
from spanbridge.payloads.bus.machine_files import FileError, read_machines, update_machine


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": {}}')

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"x\.json: No space left on device") as caught:
        update_machine(str(tmp_path), "x.json", "b", {"visible": True})
    assert not caught.value.denied
    assert file.read_text() == '{"a": {}}'
    assert os.listdir(tmp_path) == ["x.json"]


def test_others_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    directory = tmp_path / "cockpit" / "machines.d"
    before = os.umask(0o077)
    try:
        update_machine(str(directory), "x.json", "a", {"visible": True})
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (directory.parent, directory)] == [0o755, 0o755]
    assert (directory / "x.json").stat().st_mode & 0o777 == 0o644


def test_a_file_does_not_grow_without_end(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="would be longer than 1048576 bytes"):
        update_machine(str(tmp_path), "x.json", "a", {"color": "x" * (1 << 20)})
    assert os.listdir(tmp_path) == []


def test_only_so_many_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_files, "MACHINE_FILES", 2)
    for name in "cab":
        (tmp_path / f"{name}.json").write_text(f'{{"{name}": {{}}}}')
    complaints: list[str] = []
    assert read_machines(str(tmp_path), complaints.append) == {"a": {}, "b": {}}
    assert complaints == [f"{tmp_path}: found 3 files, of which 2 are read"]
