"""Where the documents point to, and where the code points to in them, exists."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .pages import ALL, DOCS, README, ROOT, anchors, blocks, headings, links

SOURCES = sorted(path for floor in ("bridge", "manifests", "protocol") for path in (ROOT / floor).rglob("*.py"))


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    dead = []
    for line, target in links(page):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        path = (page.parent / parts.path).resolve() if parts.path else page
        if not path.exists() or (parts.fragment and parts.fragment not in anchors(path)):
            dead.append(f"{page.name}:{line}: {target}")
    assert dead == []


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(README.parent / urlsplit(target).path).resolve() for _, target in links(README)}
    assert sorted(page.name for page in DOCS.glob("*.md") if page not in linked) == []


def test_what_the_code_refers_to_is_there() -> None:
    dead = []
    for path in SOURCES:
        for page, _, section in re.findall(r'(docs/[\w-]+\.md)(,\s+"([^"]+)")?', path.read_text()):
            if not (ROOT / page).exists() or (section and section not in headings(ROOT / page)):
                dead.append(f"{path.relative_to(ROOT)}: {page} {section}".strip())
    assert dead == []


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in ALL
        for text in [page.read_text()]
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    }
    assert {"demo", "test"} <= named <= targets


def test_the_readme_opens_with_the_two_commands() -> None:
    first = blocks(README)[0]
    assert [line.split("#")[0].strip() for line in first.text.splitlines()] == ["make demo", "make test"]
