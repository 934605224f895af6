"""Compiles the benchmark's C programs: helpers, relays, servers and load generators."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-pthread")
SOURCES = {
    "echo": ["echo.c"],
    "relay": ["relay.c"],
    "load": ["load.c", "front.c"],
    "served-load": ["served/load.c"],
    "served-server": ["served/server.c"],
}


class BuildError(Exception):
    """A program could not be compiled; the message has the compiler's own words."""


def program(name: str) -> str:
    """The path of a compiled program."""
    return str(BUILD / name)


def build() -> None:
    """Compile what is older than its sources.

    Raises:
        BuildError: there is no ``cc``, or it refused.
    """
    BUILD.mkdir(exist_ok=True)
    newest = max(path.stat().st_mtime for path in HERE.rglob("*.[ch]"))
    for name, sources in SOURCES.items():
        target = BUILD / name
        if target.exists() and target.stat().st_mtime > newest:
            continue
        _compile(target, [str(HERE / source) for source in sources])


def _compile(target: Path, sources: list[str]) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise BuildError("no C compiler: the benchmark needs `cc` (Debian: apt install gcc libc6-dev)")
    done = subprocess.run([compiler, *FLAGS, "-o", str(target), *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"cc could not make {target.name}:\n{done.stderr}")
