"""A small world for the loader: data and configuration directories in a temporary one, and an environment for it."""

import json
from pathlib import Path
from typing import Any

from hypothesis import settings

from spanbridge.manifests.load import load
from spanbridge.manifests.model import Catalog, Rule

GENERATION = "320"
ASKPASS = "/opt/spanbridge/askpass"
LIBEXEC = "/usr/lib/helpers"

properties = settings(derandomize=True, deadline=None, database=None, max_examples=100)
"""For all property tests: the same examples on every run."""


class Tree:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = root / "home/.local/share"
        self.first = root / "first"
        self.second = root / "second"
        self.etc = root / "etc"
        self.etc2 = root / "etc2"
        self.config = root / "home/.config"
        self.environ = {
            "HOME": str(root / "home"),
            "XDG_DATA_DIRS": f"{self.first}:{self.second}",
            "XDG_CONFIG_DIRS": f"{self.etc}:{self.etc2}",
        }

    def package(self, name: str, manifest: Any = None, *, where: Path | None = None) -> Path:
        """A package directory in `where` (by default the first system directory), with this manifest.json.

        manifest: an object, or its text as str or bytes. Returns the path of the manifest.
        """
        path = (where or self.first) / "cockpit" / name / "manifest.json"
        return write(path, {} if manifest is None else manifest)

    def override(self, name: str, patch: Any, *, where: Path | None = None) -> Path:
        return write((where or self.etc) / "cockpit" / f"{name}.override.json", patch)

    def load(self, **settings: Any) -> Catalog:
        arguments = {"generation": GENERATION, "askpass": ASKPASS, "libexec": lambda: LIBEXEC, **settings}
        return load(self.environ, **arguments)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def rule(match: dict[str, Any] | None = None, **members: Any) -> Rule:
    """A rule for tests that need no file. A list is taken for a tuple."""
    values: dict[str, Any] = {"package": "test", "position": 0, "source": "manifest.json:1", "spawn": ("true",)}
    members = {name: tuple(value) if isinstance(value, list) else value for name, value in members.items()}
    return Rule(**{**values, "match": match, **members})


def names(catalog: Catalog) -> list[str]:
    return [package.name for package in catalog.packages]
