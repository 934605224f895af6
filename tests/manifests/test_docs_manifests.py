"""docs/manifests.md is true: its examples load, expand and fail as it says, its tables are complete."""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from spanbridge.manifests.load import MAX_BYTES, MAX_DEFECTS, MAX_DEPTH
from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.template import compile_rule, expand
from spanbridge.manifests.written import KNOWN

from .manifest_tree import Tree

PAGE = (Path(__file__).parents[2] / "docs/manifests.md").read_text()
KINDS = {"json manifest", "json override", "json open", "json broken", "sh", "text"}
OF_TOOLS = {"json checked", "json settings", "yaml", "console"}
"""Tested with the tools that they are about."""


class Block(NamedTuple):
    kind: str
    line: int
    text: str


def blocks() -> list[Block]:
    found: list[Block] = []
    kind, start, lines = "", 0, list[str]()
    for number, line in enumerate(PAGE.splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif kind:
            found.append(Block(kind, start, "\n".join(lines)))
            kind = ""
        else:
            kind, start, lines = line.removeprefix("```"), number, []
    assert not kind, f"the block of line {start} has no end"
    return found


BLOCKS = blocks()


def examples(kind: str) -> pytest.MarkDecorator:
    """All blocks of one kind as parameters: their position among all blocks."""
    numbers = [number for number, block in enumerate(BLOCKS) if block.kind == kind]
    return pytest.mark.parametrize("number", numbers, ids=[f"line {BLOCKS[number].line}" for number in numbers])


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def install(tree: Tree, number: int) -> None:
    """The nearest manifest up from this block, and the overrides between the two."""
    start = max(index for index in range(number + 1) if BLOCKS[index].kind == "json manifest")
    tree.package("example", BLOCKS[start].text)
    for block in BLOCKS[start : number + 1]:
        if block.kind == "json override":
            tree.override("example", block.text)


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.kind for block in BLOCKS} == KINDS | OF_TOOLS
    assert all(json.loads(block.text) for block in BLOCKS if block.kind.startswith("json"))


@examples("json manifest")
def test_manifests_load_without_a_defect(tree: Tree, number: int) -> None:
    install(tree, number)
    catalog = tree.load()
    assert (catalog.defects, catalog.hidden, len(catalog.packages)) == ((), (), 1)


@examples("json override")
def test_overrides_apply_without_a_defect(tree: Tree, number: int) -> None:
    install(tree, number)
    catalog = tree.load()
    assert catalog.defects == ()
    assert len(catalog.packages[0].overrides) == 1


@examples("json open")
def test_opens_start_the_command_shown(tree: Tree, number: int) -> None:
    install(tree, number)
    message = json.loads(BLOCKS[number].text)
    found = next(RuleIndex(tree.load().rules).candidates(message))
    expansion = expand(compile_rule(found), message)
    words = [*(f"{name}={value}" for name, value in expansion.environ), *expansion.argv]
    assert BLOCKS[number + 1].kind == "sh"
    assert words == shlex.split(BLOCKS[number + 1].text)


@examples("json broken")
def test_mistakes_are_told_as_shown(tree: Tree, number: int) -> None:
    file = tree.package("example", BLOCKS[number].text)
    shown = "/usr/share/cockpit/example/manifest.json"
    told = [str(defect).replace(str(file), shown) for defect in tree.load().defects]
    assert BLOCKS[number + 1].kind == "text"
    assert told == BLOCKS[number + 1].text.splitlines()


def rows(section: str) -> list[list[str]]:
    """The cells of the table in a section, without its head."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def test_the_table_of_members_is_complete() -> None:
    assert {row[0].strip("`") for row in rows("Members of a bridge")} == KNOWN


def test_the_limits_are_those_in_force() -> None:
    limits = {row[0]: row[1] for row in rows("Limits")}
    assert limits["size of a manifest or override"] == f"{MAX_BYTES >> 20} MiB"
    assert limits["lists and objects nested in one another"] == f"{MAX_DEPTH} levels"
    assert limits["defects reported for one list of bridges"] == f"{MAX_DEFECTS}, then their count"


def test_the_limits_of_the_bridge_are_those_it_has() -> None:
    from spanbridge.limits import Limits

    defaults = Limits()
    settings = {row[2].strip("`"): row[1] for row in rows("Limits") if row[2]}
    assert settings.pop("manifest_bytes") == f"{defaults.manifest_bytes >> 20} MiB"
    assert settings == {name: str(getattr(defaults, name)) for name in settings}
