"""Where a mistake stands, and whether what is left out for it was there to refuse something."""

from __future__ import annotations

from typing import Any

from .member import Path
from .model import Defect
from .raw import Document

PROBLEM = b'problem"'
NOT_REFUSED = "; the bridge is left out, and refuses nothing with its problem"
"""Said of an entry that is left out and has a `problem`."""


def located(file: str, data: bytes, path: Path, message: str) -> Defect:
    """The defect of a member. Looks for its line and column only now, since there is something to say about it."""
    from .locate import find, line_and_column
    from .member import spell

    line, column = line_and_column(data, find(data, path))
    return Defect(file, line, column, spell(path), message)


def may_refuse(entry: Any) -> bool:
    """Whether an entry that is left out may have been there to refuse what it matches."""
    if not isinstance(entry, dict) or entry.get("privileged") is True:
        return False
    if "problem" in entry:
        return True
    from difflib import get_close_matches

    return "spawn" not in entry and bool(get_close_matches("problem", [name.lower() for name in entry]))


def mention_problem(documents: list[Document]) -> bool:
    return any(PROBLEM in document.data for document in documents)


def blame(documents: list[Document], path: Path, message: str) -> Defect:
    """The defect of a member of the merged manifest, in the last of the files that has a say in it."""
    document = max(reversed(documents), key=lambda document: _reach(document.value, path))
    return located(document.file, document.data, path, message)


def _reach(value: Any, path: Path) -> int:
    """How many steps of the path lead somewhere."""
    for count, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return count
    return len(path)
