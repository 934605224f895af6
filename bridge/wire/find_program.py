"""Where a program is, by the PATH of an environment. As shutil has it, which imports three ways to compress."""

import os
from collections.abc import Mapping


def candidates(name: str, environ: Mapping[str, str]) -> list[str]:
    """The paths where execvp(3) would look for it, in order."""
    if "/" in name:
        return [name]
    return [os.path.join(directory, name) for directory in os.get_exec_path(dict(environ))]


def find_program(name: str, environ: Mapping[str, str], directory: str | None = None) -> str | None:
    """The first of them that is a program; None: there is none. A relative one is meant, and given, as seen from
    `directory`; None: where we are."""
    for path in candidates(name, environ):
        there = os.path.join(directory or "", path)
        if os.access(there, os.X_OK) and os.path.isfile(there):
            return path
    return None
