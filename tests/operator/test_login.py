"""`spanbridge login`: a link that is made and taken away, and nothing else touched. Real logins: tests/roots/deb."""

import os
import subprocess
from pathlib import Path

import pytest

from spanbridge.operator.login import DIRECTORIES, LINK, Refused, status, turn_off, turn_on
from spanbridge.testing.bridge import SPANBRIDGE

from ..missing import lack

COMMAND = Path("/bin/true")  # root's, and for all


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "cockpit-bridge"


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may own the command."""
    monkeypatch.setattr("spanbridge.operator.login._check_is_for_all", lambda target: None)


def test_the_link_is_where_front_ends_look() -> None:
    assert os.path.dirname(LINK) in DIRECTORIES[:-4]


@pytest.mark.usefixtures("trusted")
def test_on_and_off(link: Path) -> None:
    target = link.with_name("spanbridge")
    for _ in range(2):
        turn_on(link, target)
        assert os.readlink(link) == str(target)
    for _ in range(2):
        turn_off(link)
        assert list(link.parent.iterdir()) == []


@pytest.mark.usefixtures("trusted")
def test_the_directory_is_made_where_there_is_none(tmp_path: Path) -> None:
    link = tmp_path / "bin" / "cockpit-bridge"
    turn_off(link)
    turn_on(link, tmp_path / "spanbridge")
    assert os.readlink(link) == str(tmp_path / "spanbridge")


@pytest.mark.usefixtures("trusted")
def test_another_place_of_ours_is_replaced(link: Path) -> None:
    link.symlink_to("/gone/spanbridge")
    turn_on(link, link.with_name("spanbridge"))
    assert os.readlink(link) == str(link.with_name("spanbridge"))


@pytest.mark.parametrize("kind", ["a file", "a link elsewhere", "a directory"])
def test_what_is_not_ours_is_left_alone(kind: str, link: Path) -> None:
    if kind == "a file":
        link.write_text("mine")
    elif kind == "a directory":
        link.mkdir()
    else:
        link.symlink_to("/opt/other-bridge")
    before = os.lstat(link)
    with pytest.raises(Refused, match="not ours"):
        turn_off(link)
    with pytest.raises(Refused, match="not ours"):
        turn_on(link, COMMAND)
    assert os.lstat(link) == before
    assert list(link.parent.iterdir()) == [link]


@pytest.mark.parametrize(
    ("mode", "uid", "why"), [(0o700, 0, "not for all users"), (0o777, 0, "written by others"), (0o755, 1, "uid 1")]
)
@pytest.mark.root
def test_a_command_that_is_not_root_s_or_not_for_all_is_refused(
    mode: int, uid: int, why: str, link: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        lack("needs uid 0")
    directory = tmp_path / "bin"
    directory.mkdir()
    target = directory / "spanbridge"
    target.write_text("")
    target.chmod(0o755)
    os.chown(directory, uid, 0)
    directory.chmod(mode)
    with pytest.raises(Refused, match=why):
        turn_on(link, target)
    assert not os.path.lexists(link)


def test_status_is_that_of_the_first_that_may_be_run(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    directories = [str(first), str(second), str(third)]
    for directory in (first, second, third):
        directory.mkdir()
    assert status(directories) == (False, f"logins get no bridge: no cockpit-bridge in {':'.join(directories)}")
    other = third / "cockpit-bridge"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert status(directories) == (False, f"logins get another bridge: {other}")
    command = tmp_path / "spanbridge"
    ours = second / "cockpit-bridge"
    ours.symlink_to(command)
    assert not status(directories)[0]  # it leads nowhere
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    assert status(directories) == (True, f"logins get spanbridge: {ours} -> {command}")
    (first / "cockpit-bridge").write_text("not to be run")
    assert status(directories)[0]


@pytest.mark.parametrize("arguments", [[], ["maybe"], ["on", "off"]])
def test_arguments_that_make_no_sense(arguments: list[str]) -> None:
    done = subprocess.run([SPANBRIDGE, "login", *arguments], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"usage: spanbridge login" in done.stderr
