"""Installed, all of it is one package: nothing of a user's own is met by ours, and nothing of ours by theirs."""

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.start import starting

from .conftest import Install


def python(binaries: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binaries / "python", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["bridge", "protocol", "manifests", "launchers", "tests"])
def test_no_other_name_is_importable(name: str, binaries: Path, tmp_path: Path) -> None:
    assert f"No module named '{name}'" in python(binaries, "-c", f"import {name}", cwd=tmp_path).stderr


def test_the_name_of_its_directory_in_the_source_starts_it(binaries: Path, home: Home) -> None:
    """With the askpass program that was installed with it."""
    home.package("shell", {"privileged": True, "environ": ["P=${libexecdir}/cockpit-askpass"], "spawn": ["sudo"]})
    command = [str(binaries / "python"), "-m", "bridge", "--bridges"]
    done = subprocess.run(command, cwd="/", env=home.environ, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)[0]["environ"] == [f"P={binaries / 'spanbridge-askpass'}"], done.stderr


def test_the_rooms_are_importable(binaries: Path, tmp_path: Path) -> None:
    names = "sdk", "testing", "protocol.frames", "manifests.load"
    done = python(binaries, "-c", "import " + ", ".join(f"spanbridge.{name}" for name in names), cwd=tmp_path)
    assert done.stderr == ""


def test_a_helper_named_bridge_beside_a_protocol_of_its_own_uses_the_sdk(binaries: Path, home: Home) -> None:
    directory = home.root / "helper"
    directory.mkdir()
    (directory / "protocol.py").write_text("ANSWER = b'mine'\n")
    program = directory / "bridge.py"
    program.write_text(
        textwrap.dedent("""\
            import protocol
            from spanbridge.sdk import Channel, run

            async def serve(channel: Channel) -> None:
                await channel.ready()
                await channel.send(protocol.ANSWER)

            run(serve)
        """)
    )
    rule = {"match": {"payload": "test"}, "spawn": [str(binaries / "python"), str(program)]}
    with starting(home, [str(binaries / "spanbridge")]) as start:
        bridge = start(rule)
        bridge.front_end.open("a", payload="test")
        bridge.front_end.expect("ready", channel="a")
        assert bridge.front_end.data("a", 4) == b"mine"


def test_a_project_with_a_bridge_of_its_own_loads_the_pytest_plugin(binaries: Path, tmp_path: Path) -> None:
    for name in ("bridge", "protocol", "manifests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""\
            import bridge, manifests, protocol

            def test_it(spanbridge_start):
                assert bridge.MINE and protocol.MINE and manifests.MINE
                started = spanbridge_start()
                started.front_end.open("a", payload="echo")
                started.front_end.expect("ready", channel="a")
        """)
    )
    arguments = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")
    done = python(binaries, "-m", "pytest", *arguments, cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_what_uses_it_is_type_checked(binaries: Path, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(
        textwrap.dedent("""\
            from spanbridge.protocol.splitter import FrameError
            from spanbridge.sdk import Channel, run


            async def serve(channel: Channel) -> None:
                await channel.send(1)


            reveal_type(FrameError)
            run(serve)
        """)
    )
    command = ["-m", "mypy", "--strict", "--no-incremental", "--python-executable", str(binaries / "python"), "uses.py"]
    done = python(binaries, *command, cwd=tmp_path)
    assert 'error: Argument 1 to "send" of "Channel" has incompatible type "int"' in done.stdout, done.stdout
    assert "Found 1 error" in done.stdout, done.stdout


def test_a_path_too_long_for_a_first_line(install: Install, tmp_path: Path) -> None:
    binaries = install(tmp_path / ("a long name with spaces " * 8) / "venv")
    done = subprocess.run([binaries / "spanbridge", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("spanbridge "), done.stderr


def test_the_version_is_that_of_the_package(wheel: Path, binaries: Path, tmp_path: Path) -> None:
    done = python(binaries, "-c", "from spanbridge.installed import VERSION; print(VERSION)", cwd=tmp_path)
    assert wheel.name.startswith(f"spanbridge-{done.stdout.strip()}-")
