"""`python -m tests.structure`: how the house stands. Floors, arrows, circles, and the largest files.

A floor is a step of the longest chain of imports between modules, wherever they stand: within functions, and for type
checkers alone, too. A module that is named in text and imported by that name is none. An arrow is a room, or a small
module beside the rooms, that imports from another. A circle is a set of modules that import one another, directly or
not.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import grimp

from .docs.pages import ROOT

PACKAGE: Final = "spanbridge"
FLOORS: Final = 10
"""At most."""
_LARGEST: Final = 12

Imports = Mapping[str, frozenset[str]]


class Structure(NamedTuple):
    modules: int
    imports: int
    floors: list[str]
    """The longest chain of imports, from the top; a circle counts as one, its modules joined by " + "."""
    arrows: list[tuple[str, str, int]]
    """Which room imports from which, and how many times."""
    circles: list[list[str]]
    files: list[tuple[int, str]]
    """Lines and path, the longest first."""


def look() -> Structure:
    """At the sources of this tree. Imports for type checkers alone count like the others."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    imports: Imports = {
        module: frozenset(graph.find_modules_directly_imported_by(module)) - {module} for module in graph.modules
    }
    groups = _groups(imports)
    files = sorted(
        (
            (len(path.read_text().splitlines()), str(path.relative_to(ROOT)))
            for floor in ("bridge", "manifests", "protocol")
            for path in (ROOT / floor).rglob("*.py")
            if not any(parent.is_symlink() for parent in path.parents)
        ),
        reverse=True,
    )
    return Structure(
        modules=len(imports),
        imports=sum(len(each) for each in imports.values()),
        floors=_longest(imports, groups),
        arrows=_arrows(imports),
        circles=[sorted(map(_short, group)) for group in dict.fromkeys(groups.values()) if len(group) > 1],
        files=files,
    )


def _arrows(imports: Imports) -> list[tuple[str, str, int]]:
    counts: dict[tuple[str, str], int] = {}
    for importer, imported in imports.items():
        for each in imported:
            pair = _room(importer), _room(each)
            if pair[0] != pair[1]:
                counts[pair] = counts.get(pair, 0) + 1
    return [(*pair, count) for pair, count in sorted(counts.items())]


def _room(module: str) -> str:
    return ".".join(module.split(".")[1:2]) or PACKAGE


def _short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def _groups(imports: Imports) -> dict[str, frozenset[str]]:
    """For each module those that it imports, however far, and that import it: itself, and the circle it is in."""
    reached = {module: _reached(module, imports) for module in imports}
    return {
        module: frozenset([module, *(each for each in reached[module] if module in reached[each])])
        for module in imports
    }


def _reached(module: str, imports: Imports) -> set[str]:
    found: set[str] = set()
    left = [module]
    while left:
        for each in imports[left.pop()] - found:
            found.add(each)
            left.append(each)
    return found


def _longest(imports: Imports, groups: Mapping[str, frozenset[str]]) -> list[str]:
    best: dict[frozenset[str], list[frozenset[str]]] = {}

    def chain(group: frozenset[str]) -> list[frozenset[str]]:
        if group not in best:
            below = {groups[each] for module in group for each in imports[module]} - {group}
            best[group] = [group, *max((chain(each) for each in below), key=len, default=[])]
        return best[group]

    longest = max((chain(group) for group in set(groups.values())), key=len)
    return [" + ".join(sorted(map(_short, group))) for group in longest]


def main() -> int:
    found = look()
    print(f"{found.modules} modules, {found.imports} imports")
    print(f"{len(found.floors)} floors of at most {FLOORS}, the longest chain of imports:")
    print("".join(f"    {name}\n" for name in found.floors), end="")
    print(f"{len(found.arrows)} arrows between rooms:")
    for room in dict.fromkeys(importer for importer, _, _ in found.arrows):
        print(f"    {room} -> " + ", ".join(f"{to} ({count})" for of, to, count in found.arrows if of == room))
    print(f"{len(found.circles)} circles" + (":" if found.circles else ""))
    print("".join(f"    {', '.join(circle)}\n" for circle in found.circles), end="")
    print(f"{len(found.files)} files, {sum(lines for lines, _ in found.files)} lines, the largest:")
    print("".join(f"    {lines:5} {Path(name)}\n" for lines, name in found.files[:_LARGEST]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
