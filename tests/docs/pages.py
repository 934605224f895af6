"""The documents as data: blocks of code, tables, headings, links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
DOCS: Final = ROOT / "docs"
ALL: Final = (README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))

_FENCE: Final = re.compile(r"^```(\S*) *(.*)$")
_HEADING: Final = re.compile(r"^#+ (.*)$")
_LINK: Final = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A block of code. `tag` is the second word after the fence, and says what it is for."""

    page: Path
    line: int
    heading: str
    language: str
    tag: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str = "", tag: str = "") -> list[Block]:
    """The blocks of a page, in order; of one language and tag, if they are given."""
    return [
        block
        for block in _blocks(page)
        if (not language or block.language == language) and (not tag or block.tag == tag)
    ]


def _blocks(page: Path) -> Iterator[Block]:
    heading, start, opened = "", 0, None
    text: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is not None:
            if line == "```":
                yield Block(page, start, heading, opened[1], opened[2], "".join(f"{each}\n" for each in text))
                opened = None
            else:
                text.append(line)
        elif fence:
            opened, start, text = fence, number, []
        elif found := _HEADING.match(line):
            heading = found[1]
    assert opened is None, f"{page.name}: the block at line {start} has no end"


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines outside of blocks, with their numbers."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def headings(page: Path) -> list[str]:
    return [found[1] for _, line in prose(page) if (found := _HEADING.match(line))]


def anchors(page: Path) -> set[str]:
    """What a link to a heading may name after the #, as GitHub makes it."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def links(page: Path) -> list[tuple[int, str]]:
    """Targets of links, with the numbers of their lines."""
    return [(number, target) for number, line in prose(page) for target in _LINK.findall(line)]


def tables(page: Path, heading: str) -> list[list[list[str]]]:
    """The tables below a heading, as rows of cells, the header among them."""
    found: list[list[list[str]]] = []
    here = within = False
    for _, line in prose(page):
        if match := _HEADING.match(line):
            here = match[1] == heading
        if here and line.startswith("|"):
            if not within:
                found.append([])
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(set(cell) == {"-"} for cell in cells):
                found[-1].append(cells)
        within = line.startswith("|")
    assert found, f"{page.name} has no table below {heading!r}"
    return found


def words(cell: str) -> list[str]:
    """What a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)
