"""Reading the manifests anew when one of them changes on disk, if that is asked for (docs/manifests.md, "Reload").

For whoever writes a package. What counts: a manifest.json, an override, and the coming and going of the directories
that they are in.
"""

import os
from collections.abc import Mapping
from typing import Final

from spanbridge.manifests.directories import data_directories, override_directories

from ..payloads.base import Services
from ..payloads.session_inotify import inotify_of
from ..watcher import CannotWatch, Wanted, open_watcher

QUIET_SECONDS: Final = 0.1
"""Changes that follow one another faster than this are taken together: an installation writes many files."""

LONGEST_SECONDS: Final = 1.0
"""But none waits longer than this."""


async def reload_on_change(services: Services) -> None:
    """Until it is cancelled: watch, and reload after each change. Returns, with a line logged, if nothing can watch."""
    log = services.context.log
    try:
        watcher = await open_watcher(inotify_of(services))
    except CannotWatch as error:
        log.warning("reload-on-change", why=str(error))
        return
    left_out = 0
    with watcher:
        while True:
            before, left_out = left_out, watcher.cover(_places(services.environ))
            if left_out and not before:
                log.warning("reload-on-change", why="no more watches", left_out=left_out)
            services.reload()  # the first time, too: something may have changed since the start
            await watcher.changed()
            await watcher.quiet(QUIET_SECONDS, LONGEST_SECONDS)
            await services.front_drained()


def _places(environ: Mapping[str, str]) -> dict[str, Wanted]:
    """What to watch: data directories, the package directories in them, and those with overrides."""
    wanted: dict[str, Wanted] = dict.fromkeys(override_directories(environ), _is_override)
    for place in data_directories(environ):
        wanted[place.path] = _anything
        for package in _directories_in(place.path):
            wanted[package] = _is_manifest
    return wanted


def _directories_in(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if not entry.name.startswith(".") and _is_directory(entry))
    except OSError:
        return []


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _anything(name: str) -> bool:
    return True


def _is_override(name: str) -> bool:
    return name.endswith(".override.json")


def _is_manifest(name: str) -> bool:
    return name in ("manifest.json", "override.json")
