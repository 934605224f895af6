"""Completions offer every tool, option and limit: asked of the shells themselves where they are installed."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from spanbridge.catalog import EXTENSION_PAYLOADS
from spanbridge.cli import TOOLS
from spanbridge.limits import descriptions
from spanbridge.log import PARTS
from spanbridge.payloads.base import PAYLOADS
from spanbridge.testing.home import Home

from ..docs.pages import ROOT
from ..missing import lack
from .shells import COMPLETIONS, bash, fish, zsh
from .tools import NAMES, options_of

Complete = Callable[..., list[list[str]]]
SHELLS: dict[str, Complete] = {"bash": bash, "zsh": zsh, "fish": fish}


@pytest.fixture(params=SHELLS)
def complete(request: pytest.FixtureRequest) -> Complete:
    """A shell: what it offers for command lines."""
    shell: str = request.param
    if shutil.which(shell) is None:
        lack(f"missing: {shell}", shell)
    return SHELLS[shell]


def test_options(complete: Complete, tmp_path: Path) -> None:
    tools = ["", *NAMES]
    lines = [f"spanbridge {tool} {dash}".replace("  ", " ") for tool in tools for dash in ("-", "--")]
    offers = complete(tmp_path, *lines)
    for tool, short, long in zip(tools, offers[::2], offers[1::2], strict=True):
        found = {offer.removesuffix("=") for offer in (*short, *long)}
        assert found - {"-h", "--help", "-"} == options_of(tool), tool
        assert "--help" in found, tool


def test_tools(complete: Complete, tmp_path: Path) -> None:
    everything, one = complete(tmp_path, "spanbridge ", "spanbridge expl")
    assert set(everything) == set(NAMES)
    assert one == ["explain"]


def test_limits(complete: Complete, tmp_path: Path) -> None:
    for offers in complete(tmp_path, "spanbridge --set ", "spanbridge --set=", "spanbridge explain --set "):
        assert {offer.removeprefix("--set=").removesuffix("=") for offer in offers} == set(descriptions())


def test_values(complete: Complete, tmp_path: Path) -> None:
    expected = {
        "spanbridge explain --superuser ": {"none", "running", "root"},
        "spanbridge tap --format ": {"json", "text"},
        "spanbridge tap --payload ": {"none", "all"},
        "spanbridge open ": {*PAYLOADS, *EXTENSION_PAYLOADS, "mine"},
        "spanbridge replay --as ": {"front-end", "helper"},
        "spanbridge replay file --compare ": {"payload", "size", "kind"},
    }
    write_package(tmp_path)
    for (line, values), offers in zip(expected.items(), complete(tmp_path, *expected), strict=True):
        assert set(offers) == values, line


def write_package(home: Path) -> None:
    """One with a rule for the payload `mine`."""
    package = home / ".local/share/cockpit/my-package"
    package.mkdir(parents=True)
    (package / "manifest.json").write_text('{"bridges": [{"match": {"payload": "mine"}, "spawn": ["x"]}]}')


def test_files(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "my-package").mkdir()
    lines = ["spanbridge check ", "spanbridge check my-", "spanbridge tap --output my-", "spanbridge replay my-"]
    for line, offers in zip(lines, complete(tmp_path, *lines), strict=True):
        assert "my-package" in {offer.rstrip("/") for offer in offers}, line


def test_packages(complete: Complete, tmp_path: Path) -> None:
    write_package(tmp_path)
    assert complete(tmp_path, "spanbridge list ") == [["my-package"]]


def test_commands(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "my-file").write_text("")
    lines = ["spanbridge tap -- spanbridge-ask", "spanbridge tap -- cat my-", "spanbridge tap --payload all -- cat my-"]
    lines.append("spanbridge replay my-file -- cat my-")
    command, *files = complete(tmp_path, *lines)
    assert command == ["spanbridge-askpass"]
    assert files == [["my-file"]] * 3


def test_payloads_of_explain(tmp_path: Path) -> None:
    lines = ("spanbridge explain ", "spanbridge explain payload=", "spanbridge explain x=1 payload=ec")
    write_package(tmp_path)
    words, payloads, one = bash(tmp_path, *lines)
    assert set(words) == {"and", "payload="}
    assert set(payloads) == {*PAYLOADS, *EXTENSION_PAYLOADS, "mine"}
    assert one == ["echo"]


def test_parts_of_debug(tmp_path: Path) -> None:
    assert set(bash(tmp_path, "spanbridge --debug=")[0]) == {*PARTS, "all"}
    for name in ("_spanbridge", "spanbridge.bash"):
        assert all(part in (COMPLETIONS / name).read_text() for part in PARTS)


# What is the same everywhere is written from the code


def wrapped(words: list[str], before: str, after: str = "") -> list[str]:
    lines, line = [], before
    for word in words:
        if len(line) + len(word) > 110:
            lines.append(f"{line}{after}")
            line = before
        line += f" {word}"
    return [*lines, f"{line}{after}"]


def quoted(text: str) -> str:
    return "'" + text.replace("`", "").replace("'", "'\\''") + "'"


WRITTEN = {
    ("spanbridge.bash", "limits"): wrapped(list(descriptions()), "    echo"),
    ("spanbridge.bash", "tools"): [f'_spanbridge_tools="{" ".join(TOOLS)}"'],
    ("_spanbridge", "limits"): [f"        {name}:{quoted(text)}" for name, text in descriptions().items()],
    ("_spanbridge", "tools"): [f"        {name}:{quoted(text)}" for name, text in TOOLS.items()],
    ("spanbridge.fish", "limits"): [
        f"    printf '%s=\\t%s\\n' {name} {quoted(text)}" for name, text in descriptions().items()
    ],
    ("spanbridge.fish", "tools"): [
        f"complete -c spanbridge -n __spanbridge_first -a {name} -d {quoted(text)}" for name, text in TOOLS.items()
    ],
}


@pytest.mark.parametrize(("name", "what"), WRITTEN)
def test_tools_and_limits_are_those_of_the_code(name: str, what: str) -> None:
    path = COMPLETIONS / name
    lines = path.read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.strip() == f"# {what}")
    end = next(at for at, line in enumerate(lines) if line.strip() == f"# end of {what}")
    there, expected = lines[begin + 1 : end], WRITTEN[name, what]
    if os.environ.get("WRITE_DOCS"):
        path.write_text("".join(f"{line}\n" for line in [*lines[: begin + 1], *expected, *lines[end:]]))
    assert there == expected, f"{name} is to have (WRITE_DOCS=1 writes it):\n" + "\n".join(expected)


# Installed


def test_the_wheel_has_them() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    shared = wheel["shared-data"]
    assert {source: target for source, target in shared.items() if not source.endswith(".json")} == {
        "docs/man/spanbridge.1": "share/man/man1/spanbridge.1",
        "docs/man/spanbridge-manifest.5": "share/man/man5/spanbridge-manifest.5",
        "docs/completions/spanbridge.bash": "share/bash-completion/completions/spanbridge",
        "docs/completions/_spanbridge": "share/zsh/site-functions/_spanbridge",
        "docs/completions/spanbridge.fish": "share/fish/vendor_completions.d/spanbridge.fish",
    }
    assert all((ROOT / source).exists() for source in shared)


@pytest.mark.parametrize(
    ("shell", "name"), [("bash", "spanbridge.bash"), ("zsh", "_spanbridge"), ("fish", "spanbridge.fish")]
)
def test_a_shell_can_read_it(shell: str, name: str, home: Home) -> None:
    if shutil.which(shell) is None:
        lack(f"missing: {shell}", shell)
    done = subprocess.run(
        [shell, "-n", COMPLETIONS / name], capture_output=True, text=True, check=False, env=home.environ
    )
    assert (done.returncode, done.stderr) == (0, "")
