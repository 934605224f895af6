"""The commands: scripts of sh that start the Python they were installed with, isolated from its user's environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.start import starting

from ..docs.pages import ROOT

LAUNCHERS = ROOT / "launchers"

HOSTILE = {
    "PYTHONPATH": "{shadows}",
    "PYTHONHOME": "/nonexistent",
    "PYTHONHASHSEED": "x",
    "PYTHONSTARTUP": "/nonexistent",
    "PYTHONSAFEPATH": "",
    "PYTHONWARNINGS": "error",
    "PYTHONINSPECT": "1",
    "PYTHONVERBOSE": "1",
    "PYTHONPLATLIBDIR": "x",
    "PYTHONIOENCODING": "utf-16",
}


@pytest.fixture
def shadows(home: Home) -> Path:
    """Modules of a user's own that have the names of ours, and of what we need."""
    directory = home.root / "shadows"
    directory.mkdir()
    for name in ("spanbridge", "bridge", "protocol", "manifests", "anyio", "msgspec", "json", "os"):
        (directory / f"{name}.py").write_text(f"raise SystemExit('not the {name} that was meant')\n")
    return directory


@pytest.mark.parametrize("name", HOSTILE)
def test_variables_of_python_are_nothing_to_a_session_and_reach_its_helpers(
    name: str, binaries: Path, home: Home, shadows: Path
) -> None:
    value = HOSTILE[name].format(shadows=shadows)
    tell = f'echo "it is [${name}]" >&2; exit 1'
    with starting(home, [str(binaries / "spanbridge")]) as start:
        bridge = start({"match": {"payload": "test"}, "spawn": ["/bin/sh", "-c", tell]}, environ={name: value})
        bridge.front_end.open("a", payload="test")
        bridge.front_end.expect("close", channel="a")
        bridge.log.wait(re.escape(f"it is [{value}]"))
        bridge.front_end.open("b", payload="echo")
        bridge.front_end.expect("ready", channel="b")


@pytest.mark.parametrize("command", ["spanbridge", "spanbridge-askpass"])
def test_the_working_directory_is_nothing_to_it(command: str, binaries: Path, shadows: Path) -> None:
    done = subprocess.run(
        [binaries / command, "--version"], cwd=shadows, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert b"that was meant" not in done.stderr
    assert done.returncode == (0 if command == "spanbridge" else 1)


def test_the_user_site_is_nothing_to_it(binaries: Path, home: Home, shadows: Path) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = home.root / ".local" / "lib" / version / "site-packages"
    site.parent.mkdir(parents=True)
    shadows.rename(site)
    done = subprocess.run([binaries / "spanbridge", "--version"], env=home.environ, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_below_a_prefix_of_its_own_that_python_does_not_look_at(binaries: Path, home: Home) -> None:
    """As `pip install --user` installs."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = home.root / ".local" / "lib" / version / "site-packages"
    commands = home.root / ".local" / "bin"
    site.mkdir(parents=True)
    commands.mkdir()
    (installed,) = binaries.parent.glob("lib/python*/site-packages")
    (site / "spanbridge").symlink_to(installed / "spanbridge")
    (site / "lent.pth").write_text((installed / "lent.pth").read_text())
    for name in ("spanbridge", "spanbridge-askpass"):
        (commands / name).write_bytes((binaries / name).read_bytes())
        (commands / name).chmod(0o755)
    (commands / "spanbridge-python").write_text(f"#!{os.path.realpath(sys.executable)}\n")
    for name, status in (("spanbridge", 0), ("spanbridge-askpass", 1)):
        done = subprocess.run(
            [commands / name, "--version"],
            env=home.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


def test_the_one_directory_of_an_environment_is_not_looked_for(binaries: Path, tmp_path: Path) -> None:
    """Python's `site` would do that, at each start."""
    (installed,) = binaries.parent.glob("lib/python*/site-packages")
    packages = tmp_path / installed.relative_to(binaries.parent)
    packages.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spanbridge").write_bytes((binaries / "spanbridge").read_bytes())
    (tmp_path / "pyvenv.cfg").write_bytes((binaries.parent / "pyvenv.cfg").read_bytes())
    for found in installed / "spanbridge", Path(msgspec.__file__).parent:
        (packages / found.name).symlink_to(found)
    command: list[Path | str] = [binaries / "python", "-IS", "-X", "importtime", tmp_path / "bin" / "spanbridge"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("spanbridge "), done.stderr
    assert not re.search(r"\| +site$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "second",
    ['\'\'\'exec\' "{python}" "$0" "$@"', "'''exec' '{python}' \"$0\" \"$@\"", "'''exec' {python} \"$0\" \"$@\""],
)
def test_first_lines_of_other_installers(second: str, binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "spanbridge").write_bytes((binaries / "spanbridge").read_bytes())
    (tmp_path / "spanbridge").chmod(0o755)
    line = second.format(python=binaries / "python")
    (tmp_path / "spanbridge-python").write_text(f"#!/bin/sh\n{line}\n' '''\n")
    done = subprocess.run([tmp_path / "spanbridge", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("spanbridge "), done.stderr


def test_a_python_that_is_gone_is_named(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "spanbridge").write_bytes((binaries / "spanbridge").read_bytes())
    (tmp_path / "spanbridge").chmod(0o755)
    (tmp_path / "spanbridge-python").write_text("#!/gone/python\n")
    done = subprocess.run([tmp_path / "spanbridge", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr.endswith("the Python that it was installed with cannot be run: /gone/python\n")


def test_another_python_of_its_version_takes_its_place(binaries: Path, tmp_path: Path) -> None:
    """Where it is gone, or lies where this user may not look."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "lib").symlink_to(binaries.parent / "lib")
    (commands / "spanbridge").write_bytes((binaries / "spanbridge").read_bytes())
    (commands / "spanbridge").chmod(0o755)
    (commands / "spanbridge-python").write_text("#!/gone/python\n")
    path = f"{Path(os.path.realpath(sys.executable)).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [commands / "spanbridge", "--version"], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("spanbridge "), done.stderr


STARTS = ["itself", "a link", "a link to a link", "python -m"]


@pytest.mark.parametrize("how", STARTS)
def test_askpass_is_found_however_it_was_started(how: str, binaries: Path, home: Home) -> None:
    rule = {"privileged": True, "spawn": ["sudo", "-A", "x"], "environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"]}
    home.package("test", rule)
    link, second = home.root / "cockpit-bridge", home.root / "second"
    link.symlink_to(binaries / "spanbridge")
    second.symlink_to("cockpit-bridge")
    commands: dict[str, list[Path | str]] = {
        "itself": [binaries / "spanbridge"],
        "a link": [link],
        "a link to a link": [second],
        "python -m": [binaries / "python", "-m", "spanbridge"],
    }
    done = subprocess.run(
        [*commands[how], "--bridges"], env=home.environ, capture_output=True, text=True, check=True, cwd="/"
    )
    told, *_ = json.loads(done.stdout)
    assert Path(told["environ"][0].partition("=")[2]).resolve() == (binaries / "spanbridge-askpass").resolve()


def test_a_session_has_the_name_it_was_started_by(binaries: Path, home: Home) -> None:
    link = home.root / "cockpit-bridge"
    link.symlink_to(binaries / "spanbridge")
    with starting(home, [str(link)]) as start:
        bridge = start()
        assert Path(f"/proc/{bridge.pid}/comm").read_text() == "cockpit-bridge\n"


def test_both_start_python_in_the_same_way() -> None:
    first, second = ((LAUNCHERS / name).read_text() for name in ("spanbridge", "spanbridge-askpass"))
    assert first.replace("spanbridge.__main__ import", "spanbridge.askpass import") == second
