"""The man pages: they have every tool, option, limit and member, and formatters take them without a word."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.limits import Limits, descriptions
from spanbridge.manifests.load import load
from spanbridge.manifests.written import KNOWN

from ..docs.pages import DOCS, ROOT
from ..docs.pages import tables as tables_of
from ..missing import lack
from .tools import NAMES, help_of, options_of

MAN = DOCS / "man"
TOOLS_PAGE = MAN / "spanbridge.1"
MANIFEST_PAGE = MAN / "spanbridge-manifest.5"
PAGES = (TOOLS_PAGE, MANIFEST_PAGE)


def section(page: Path, heading: str) -> str:
    """The source below `.Sh HEADING` or `.Ss HEADING`, up to the next."""
    found = re.search(
        rf"^\.S[sh] {re.escape(heading)}\n(.*?)(?=^\.S[sh] |\Z)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"{page.name} has no section {heading}"
    return found[1]


def items(source: str) -> list[str]:
    return re.findall(r"^\.It (.*)$", source, re.MULTILINE)


def flags(source: str) -> set[str]:
    """The options that are items: `Fl q , -quiet` is -q and --quiet."""
    found: set[str] = set()
    for item in items(source):
        if item.startswith("Fl "):
            words = item.removeprefix("Fl ").split(" Ar ")[0].split(" Ns ")[0].split(" Cm ")[0]
            found.update(f"-{word}" for word in words.replace(",", " ").split())
    return found


@pytest.mark.parametrize("tool", NAMES)
def test_a_tool_has_a_section_with_all_its_options(tool: str) -> None:
    source = section(TOOLS_PAGE, tool)
    assert f"\n.Cm {tool}\n" in source
    assert flags(source) - {"-h", "--help"} == options_of(tool)


def test_the_tools_are_in_the_order_of_help() -> None:
    headings = re.findall(r"^\.Ss (.*)$", TOOLS_PAGE.read_text(), re.MULTILINE)
    assert tuple(headings) == NAMES


def test_the_bridge_s_own_options() -> None:
    assert flags(section(TOOLS_PAGE, "DESCRIPTION")) == options_of() | {"-h", "--help"}
    assert all(name in help_of() for name in NAMES)


def test_limits() -> None:
    defaults = Limits()
    lines = []
    for name, text in descriptions().items():
        value = getattr(defaults, name)
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        lines += [f".It Cm {name} Ns = Ns {shown}" if shown else f".It Cm {name} Ns =", text.replace("`", "")]
    begin, end = '.\\" limits\n', '.\\" end of limits\n'
    text = TOOLS_PAGE.read_text()
    before, _, rest = text.partition(begin)
    there, _, after = rest.partition(end)
    expected = "".join(f"{line}\n" for line in lines)
    if os.environ.get("WRITE_DOCS"):
        TOOLS_PAGE.write_text(before + begin + expected + end + after)
    assert there == expected, f"the limits are to be (WRITE_DOCS=1 writes them):\n{expected}"


def test_variables_of_the_environment() -> None:
    used = set()
    for path in (ROOT / "bridge").rglob("*.py"):
        if "testing" not in path.parts:
            used.update(re.findall(r'"(SPANBRIDGE_[A-Z_]+[A-Z])"', path.read_text()))
    used -= {f"SPANBRIDGE_{name.upper()}" for name in descriptions()}
    told = set(re.findall(r"SPANBRIDGE_[A-Z_]+[A-Z]", section(TOOLS_PAGE, "ENVIRONMENT")))
    assert used <= told
    assert told - used <= {"SPANBRIDGE_NAME"}


def members(heading: str) -> set[str]:
    return {item.removeprefix("Ic ") for item in items(section(MANIFEST_PAGE, heading))}


def test_members_of_a_manifest() -> None:
    assert members("Members of a rule") == KNOWN
    rows = tables_of(DOCS / "manifests.md", "Members of the manifest")[0]
    assert members("Members of the manifest") == {row[0].strip("`") for row in rows[1:]}


def examples() -> Iterator[str]:
    for page in PAGES:
        for text in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", page.read_text(), re.DOTALL | re.MULTILINE):
            yield text.replace("\\e", "\\")


@pytest.mark.parametrize("text", list(examples()))
def test_examples_of_manifests_load(tmp_path: Path, text: str) -> None:
    package = tmp_path / "cockpit" / "example"
    package.mkdir(parents=True)
    (package / "manifest.json").write_text(text)
    catalog = load(
        {"XDG_DATA_HOME": str(tmp_path), "XDG_DATA_DIRS": "/nonexistent"}, generation="300", askpass="/askpass"
    )
    assert catalog.defects == ()
    assert len(catalog.rules) + len(catalog.privileged) == len(json.loads(text)["bridges"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    "command",
    [
        ["mandoc", "-Tlint", "-Wwarning"],
        ["groff", "-ww", "-mandoc", "-Tutf8", "-z"],
        ["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z"],
    ],
    ids=lambda command: str(command[0]),
)
def test_formatters_have_nothing_to_say(page: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        lack(f"missing: {command[0]}", "mandoc", "groff-base")
    done = subprocess.run([*command, str(page)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = done.stdout if command[0] == "mandoc" else ""
    assert (done.returncode, done.stderr, said) == (0, "", "")


def test_what_a_reader_sees() -> None:
    if shutil.which("man") is None:
        lack("missing: man", "man-db")
    environ = {"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LANG": "C.UTF-8"}
    done = subprocess.run(["man", "-l", str(TOOLS_PAGE)], capture_output=True, text=True, env=environ, check=True)
    text = re.sub(r".\x08", "", done.stdout)
    for shown in ("--set NAME=VALUE", "spanbridge explain", "frame_bytes=99999999", "name=value", "--superuser[=ID]"):
        assert shown in text, shown
