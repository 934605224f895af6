"""The directories that packages and overrides come from (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec

LIBEXEC_CANDIDATES = ("/usr/libexec", "/usr/lib/cockpit", "/usr/local/libexec", "/usr/local/lib/cockpit")


class Place(msgspec.Struct, frozen=True):
    path: str
    user: bool


def data_directories(environ: Mapping[str, str]) -> tuple[Place, ...]:
    """Where packages are looked for, first the user's own; each once, however often it is listed."""
    user = _one(environ, "XDG_DATA_HOME", ".local/share")
    paths = [*([user] if user else []), *_many(environ, "XDG_DATA_DIRS", "/usr/local/share:/usr/share")]
    return tuple(Place(f"{path}/cockpit", path == user) for path in dict.fromkeys(paths))


def override_directories(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where `DIRECTORY.override.json` is looked for, in the order they are applied: the user's own last."""
    paths = [*_many(environ, "XDG_CONFIG_DIRS", "/etc"), _one(environ, "XDG_CONFIG_HOME", ".config")]
    return tuple(f"{path}/cockpit" for path in dict.fromkeys(paths) if path)


def libexecdir(candidates: Iterable[str] = LIBEXEC_CANDIDATES) -> str:
    """What `${libexecdir}` stands for: the first candidate with a `cockpit-*` in it.

    With none, the first candidate: the message about a program that is not there then names a sensible place.
    """
    candidates = tuple(candidates)
    for path in candidates:
        try:
            if any(name.startswith("cockpit-") for name in os.listdir(path)):
                return path
        except OSError:
            continue
    return candidates[0]


def _one(environ: Mapping[str, str], name: str, default: str) -> str:
    path = _clean(environ.get(name, ""))
    if path:
        return path
    home = _clean(environ.get("HOME") or _home_of_user())
    return f"{home}/{default}" if home else ""


def _many(environ: Mapping[str, str], name: str, default: str) -> list[str]:
    paths = [path for path in map(_clean, environ.get(name, "").split(":")) if path]
    return paths or default.split(":")


def _clean(path: str) -> str:
    """Without a slash at its end; empty for one that is relative, which the specification has us ignore."""
    return path.rstrip("/") or "/." if path.startswith("/") else ""


def _home_of_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""
