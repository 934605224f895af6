"""The home and data directories that every peer of a run sees: the same manifests, nothing of the user's own."""

import json
from dataclasses import dataclass
from pathlib import Path

from bench.build import program

PAGE_BYTES = 4096


@dataclass(frozen=True)
class Home:
    """What is installed there.

    Attributes:
        rules: bridge rules in all; the last of them serves the benchmark.
        tagged: whether that rule starts one helper for each tag of an open.
        packages: packages for people beside the benchmark's own: a page, a script, a menu entry each.
        helpers: whether the benchmark's own package is there.
    """

    rules: int = 1
    tagged: bool = False
    packages: int = 0
    helpers: bool = True


def make_home(root: Path, home: Home) -> dict[str, str]:
    """Write it below `root`; the environment that makes a bridge use it."""
    data = root / "share" / "cockpit"
    data.mkdir(parents=True)
    if home.helpers:
        _write_json(data / "bench" / "manifest.json", {"bridges": _rules(home)})
    for number in range(home.packages):
        _make_package(data / f"page{number:03}", number)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(root),
        "XDG_DATA_HOME": str(root / "data"),
        "XDG_DATA_DIRS": str(root / "share"),
        "XDG_CONFIG_HOME": str(root / "config"),
        "XDG_CONFIG_DIRS": str(root / "config-dirs"),
        "XDG_RUNTIME_DIR": str(root),
        # Without these the C bridge starts a message bus and a key agent of its own, which nobody here asks for.
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={root}/no-bus",
        "SSH_AUTH_SOCK": f"{root}/no-agent",
    }


def _rules(home: Home) -> list[dict[str, object]]:
    echo = program("echo")
    others: list[dict[str, object]] = [
        {"match": {"payload": f"bench-other-{number}"}, "spawn": ["/bin/false", str(number)]}
        for number in range(home.rules - 1)
    ]
    return [*others, {"match": {"payload": "bench-echo"}, "spawn": [echo, "${tag}"] if home.tagged else [echo]}]


def _make_package(directory: Path, number: int) -> None:
    _write_json(
        directory / "manifest.json",
        {
            "version": "1",
            "requires": {"cockpit": "100"},
            "menu": {"index": {"label": f"Page {number}", "order": number, "keywords": [{"matches": ["page"]}]}},
            "content-security-policy": "default-src 'self'",
        },
    )
    (directory / "index.html").write_text("<!DOCTYPE html>".ljust(PAGE_BYTES))
    (directory / "index.js").write_text("'use strict';".ljust(PAGE_BYTES))


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
