"""The directories a bridge looks into, all of them below one of the test's own."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .script import Rule


class Home:
    """A user's home and a system's data directories, both without any package at first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data_home = root / "data-home"
        self.data_dir = root / "data-dir"
        self.config_home = root / "config-home"
        self.config_dir = root / "config-dir"
        self.runtime = root / "runtime"
        for directory in (self.data_home, self.data_dir, self.config_home, self.config_dir, self.runtime):
            directory.mkdir(parents=True)
        self.runtime.chmod(0o700)

    @property
    def environ(self) -> dict[str, str]:
        """Nothing of the environment of the test run: these alone are set."""
        return {
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "SSH_AUTH_SOCK": str(self.root / "no-agent"),  # a session without one starts its own
            "XDG_CONFIG_DIRS": str(self.config_dir),
            "XDG_CONFIG_HOME": str(self.config_home),
            "XDG_DATA_DIRS": str(self.data_dir),
            "XDG_DATA_HOME": str(self.data_home),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }

    def package(self, name: str, /, *bridges: Rule, **manifest: Any) -> Path:
        """Write a package of the user's; its directory. One of the same name is replaced."""
        return self.write_manifest(name, json.dumps({"bridges": list(bridges), **manifest}))

    def add(self, name: str, what: Path | Mapping[str, Any]) -> Path:
        """A package of the user's: the content of its manifest, or a directory that has one; where it is seen."""
        if isinstance(what, Mapping):
            return self.write_manifest(name, json.dumps(dict(what)))
        place = self.data_home / "cockpit" / name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(what.resolve(), target_is_directory=True)
        return place

    def write_manifest(self, name: str, text: str) -> Path:
        """The same with a manifest that need not be one."""
        directory = self.data_home / "cockpit" / name
        directory.mkdir(parents=True, exist_ok=True)
        new = directory / "manifest.json.new"
        new.write_text(text)
        new.rename(directory / "manifest.json")
        return directory

    def defects(self) -> list[str]:
        """What is wrong in the manifests and overrides: file, line and member, what was found and expected."""
        from ..catalog import load

        return [str(defect) for defect in load(self.environ).defects]

    def remove_package(self, name: str) -> None:
        shutil.rmtree(self.data_home / "cockpit" / name)
