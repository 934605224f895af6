"""The inputs that fuzzing has found: for each target one file, in which each input is a line, a literal of Python's.

They are the smallest that reach what they reach (minimal.py). libFuzzer wants a file for each: `unpack` writes them.
"""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus")
MOST_BYTES: Final = 180_000  # of all targets, as they are given to them


def inputs(target: str) -> list[bytes]:
    """Those of one target, the smallest first."""
    return [ast.literal_eval(line) for line in _file(target).read_text().splitlines()]


def keep(target: str, kept: Iterable[bytes]) -> None:
    """From now on these, and no others."""
    ordered = sorted(set(kept), key=lambda data: (len(data), data))
    _file(target).write_text("".join(f"{data!r}\n" for data in ordered))


def unpack(target: str, directory: Path) -> None:
    """Write each as a file of its own, named after its content."""
    for data in inputs(target):
        (directory / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def _file(target: str) -> Path:
    return CORPUS / f"{target}.txt"
