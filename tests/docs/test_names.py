"""Functions, classes and files that architecture.md names are there, in the files that it gives."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .pages import DOCS, ROOT, prose, tables, words

PAGE = DOCS / "architecture.md"
SOURCES = ("bridge", "manifests", "protocol")
WAYS = ("The way of a byte", "The way of an open")


@cache
def sources() -> dict[Path, ast.Module]:
    return {
        path.relative_to(ROOT): ast.parse(path.read_text())
        for directory in SOURCES
        for path in sorted((ROOT / directory).rglob("*.py"))
        if not any(parent.is_symlink() for parent in path.parents)
    }


def members(found: ast.ClassDef) -> Iterator[str]:
    """Methods of a class, and attributes that it gives itself."""
    for node in ast.walk(found):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def names(tree: ast.Module) -> set[str]:
    """`function`, `Class` and `Class.member` of a module."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {node.name, *(f"{node.name}.{member}" for member in members(node))}
    return found


def named() -> Iterator[tuple[int, str]]:
    for number, line in prose(PAGE):
        for word in words(line):
            yield number, word


def test_classes_and_their_members_exist() -> None:
    known = set().union(*map(names, sources().values()))
    asked = [(number, word) for number, word in named() if re.fullmatch(r"[A-Z][a-z]\w*\.\w+", word)]
    assert len(asked) > 40
    assert not [each for each in asked if each[1] not in known]


def test_files_exist() -> None:
    asked = [(number, word) for number, word in named() if re.fullmatch(r"[\w/]+\.py", word)]
    assert len(asked) > 30
    known = {str(path) for path in sources()}
    assert not [
        (number, word) for number, word in asked if not any(path == word or path.endswith(f"/{word}") for path in known)
    ]


def test_the_steps_of_a_frame_and_of_an_open_are_in_the_files_that_are_given() -> None:
    steps = [row for heading in WAYS for _, *rows in tables(PAGE, heading) for row in rows]
    assert len(steps) > 15
    for _, functions, place, _ in steps:
        (where,) = words(place)
        inside = set().union(*(names(tree) for path, tree in sources().items() if where in str(path)))
        assert {word for word in words(functions) if "." in word} <= inside, (functions, where)
