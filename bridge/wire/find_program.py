"""Where a program is, by the PATH of an environment. As shutil has it, which imports three ways to compress."""

import os
from collections.abc import Mapping


def candidates(name: str, environ: Mapping[str, str]) -> list[str]:
    """The paths where execvp(3) would look for it, in order."""
    if "/" in name:
        return [name]
    return [os.path.join(directory, name) for directory in os.get_exec_path(dict(environ))]


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """The first of them that is a program; None: there is none."""
    return next((path for path in candidates(name, environ) if os.access(path, os.X_OK) and os.path.isfile(path)), None)
