"""What `make deb` builds, unpacked."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from spanbridge.installed import VERSION
from spanbridge.testing.home import Home
from spanbridge.testing.start import starting

from ..docs.pages import ROOT, blocks
from ..missing import lack

PRIVATE = Path("usr/lib/spanbridge")
SYSTEM = Path("/usr/bin/python3")


def build(directory: Path, *arguments: str, umask: int = 0o022) -> Path:
    command: list[Path | str] = [sys.executable, ROOT / "deb" / "build.py", "--out", directory, *arguments]
    done = subprocess.run(command, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def tell(*arguments: Path | str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    return directory


def test_it_is_the_same_byte_for_byte(package: Path, tmp_path: Path) -> None:
    assert build(tmp_path, umask=0o077).read_bytes() == package.read_bytes()


def test_it_is_named_for_its_version(package: Path) -> None:
    assert package.name.startswith(f"spanbridge_{VERSION}_")
    assert tell("dpkg-deb", "--field", package, "Version").strip() == VERSION


def test_the_newest_release_in_the_changelog_has_the_version() -> None:
    heading = re.search(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading
    assert heading[1] == VERSION


def test_all_is_root_s_and_written_by_nobody_else(package: Path) -> None:
    for line in tell("dpkg-deb", "-c", package).splitlines():
        mode, owner, *_ = line.split()
        assert owner == "root/root"
        assert mode[0] == "l" or (mode[5], mode[8]) == ("-", "-"), line


def test_where_things_are(unpacked: Path) -> None:
    for name in (
        "usr/bin/spanbridge",
        "usr/lib/spanbridge/bin/spanbridge-askpass",
        "usr/lib/systemd/user/spanbridge-extensions.service",
        "usr/share/bash-completion/completions/spanbridge",
        "usr/share/doc/spanbridge/changelog.gz",
        "usr/share/doc/spanbridge/copyright",
        "usr/share/fish/vendor_completions.d/spanbridge.fish",
        "usr/share/man/man1/spanbridge.1.gz",
        "usr/share/man/man5/spanbridge-manifest.5.gz",
        "usr/share/zsh/vendor-completions/_spanbridge",
    ):
        assert (unpacked / name).is_file(), name
    outside = {path.name for path in (unpacked / "usr/lib").iterdir()} | {path.name for path in unpacked.iterdir()}
    assert outside == {"spanbridge", "systemd", "usr"}


def test_all_that_is_imported_is_in_it_for_both_pythons(unpacked: Path) -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "deb" / "requirements.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.split("[^a-z0-9-]", needed)[0] for needed in project["dependencies"]} <= pinned
    for version in ("3.11", "3.13"):
        own = unpacked / PRIVATE / "lib" / f"python{version}" / "site-packages"
        both = unpacked / PRIVATE / "lib" / "all"
        found = [path.name.split("-")[0] for site in (own, both) for path in site.glob("*.dist-info")]
        there = {name.replace("_", "-").lower() for name in found}
        assert there == pinned | {"spanbridge"}
        tag = version.replace(".", "")
        compiled = list(own.rglob("*.so"))
        assert compiled
        assert all(f"cpython-{tag}-" in path.name for path in compiled)


def test_it_is_built_for_another_machine_too(tmp_path: Path) -> None:
    """With modules that were compiled for it elsewhere."""
    package = build(tmp_path, "--architecture", "arm64")
    assert tell("dpkg-deb", "--field", package, "Architecture").strip() == "arm64"
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "root"], check=True)
    compiled = list((tmp_path / "root").rglob("*.so"))
    assert len(compiled) == 4  # two, for two Pythons
    assert {path.read_bytes()[18:20] for path in compiled} == {b"\xb7\0"}  # EM_AARCH64 in the header of ELF


def test_each_has_its_licence(unpacked: Path) -> None:
    text = (unpacked / "usr/share/doc/spanbridge/copyright").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "deb" / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    assert all(f"{name} {version}" in text for name, version in pinned)


def test_the_unit_is_that_of_the_documents(unpacked: Path) -> None:
    (shown,) = blocks(ROOT / "docs" / "extensions.md", tag="unit")
    unit = (unpacked / "usr/lib/systemd/user/spanbridge-extensions.service").read_text()
    assert unit.replace("Documentation=man:spanbridge(1)\n", "") == shown.text.replace("%h/.local/bin", "/usr/bin")


def test_commands_start_the_python_that_is_in_it_isolated(unpacked: Path) -> None:
    for name in ("usr/bin/spanbridge", PRIVATE / "bin/spanbridge-askpass"):
        assert (unpacked / name).read_text().startswith(f"#!/{PRIVATE}/bin/python3 -IS\n")
        assert os.access(unpacked / name, os.X_OK)
    assert os.readlink(unpacked / PRIVATE / "bin/python3") == str(SYSTEM)


@pytest.fixture
def python(unpacked: Path) -> Path:
    """The Python of the unpacked package, which is this machine's."""
    found = tell(SYSTEM, "-c", "import sys; print(*sys.version_info[:2], sep='.')").strip() if SYSTEM.exists() else ""
    if found not in ("3.11", "3.13"):
        lack(f"{SYSTEM} is {found or 'missing'}, expected 3.11 or 3.13", "python3")
    return unpacked / PRIVATE / "bin" / "python3"


def test_it_finds_its_own_modules_and_none_of_the_system_s(python: Path, unpacked: Path) -> None:
    names = "anyio", "h11", "inotify_simple", "msgspec", "websockets.speedups", "spanbridge.start"
    program = f"import sys, {', '.join(names)}\nprint(*(sys.modules[name].__file__ for name in {names}), sep='\\n')"
    for line in tell(python, "-I", "-c", program).splitlines():
        assert Path(line).is_relative_to(unpacked)
    assert "dist-packages" not in tell(python, "-I", "-c", "import sys; print(sys.path)")


def test_it_serves_a_session(python: Path, unpacked: Path, home: Home) -> None:
    with starting(home, [str(python), "-I", str(unpacked / "usr/bin/spanbridge")]) as start:
        bridge = start()
        for channel, options in (("a", {"payload": "echo"}), ("b", {"payload": "stream", "spawn": ["/bin/cat"]})):
            bridge.front_end.open(channel, **options)
            bridge.front_end.expect("ready", channel=channel)


def test_askpass_is_found(python: Path, unpacked: Path, home: Home) -> None:
    home.package(
        "test", {"privileged": True, "spawn": ["sudo"], "environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"]}
    )
    command: list[Path | str] = [python, "-I", unpacked / "usr/bin/spanbridge", "--bridges"]
    done = subprocess.run(command, env=home.environ, capture_output=True, text=True, check=True)
    assert f"SUDO_ASKPASS={unpacked / PRIVATE}/bin/spanbridge-askpass" in done.stdout


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_of_the_package_are_sh(name: str) -> None:
    subprocess.run(["sh", "-n", ROOT / "deb" / name], check=True)
