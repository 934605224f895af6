"""The smallest part of a corpus that reaches as much as all of it."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias

_WATCHED: Final = tuple(f"{Path(__file__).parents[2] / name}/" for name in ("protocol", "manifests"))

Feature: TypeAlias = tuple[CodeType, int, int, int]
"""A step from line to line of a function, and about how often it was taken."""


def minimal(target: Callable[[bytes], None], paths: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name and bytes of those that reach what no smaller one does, from small to large."""
    kept: list[tuple[str, bytes]] = []
    known: set[Feature] = set()
    for path in sorted(paths, key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        found = features(target, data)
        if not found <= known:
            known |= found
            kept.append((path.name, data))
    return kept


def features(target: Callable[[bytes], None], data: bytes) -> set[Feature]:
    """What the target reaches in protocol/ and manifests/ with this input."""
    steps: Counter[tuple[CodeType, int, int]] = Counter()

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(_WATCHED):
            return None
        last = 0

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            if event == "line":
                steps[code, last, frame.f_lineno] += 1
                last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return {(*step, count.bit_length()) for step, count in steps.items()}
