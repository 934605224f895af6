"""The smallest part of a corpus that reaches as much as all of it."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from os.path import dirname
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias

from spanbridge import manifests, protocol

_WATCHED: Final = tuple(f"{dirname(package.__file__ or '')}/" for package in (protocol, manifests))

Feature: TypeAlias = tuple[CodeType, int, int, int]
"""A step from line to line of a function, and about how often it was taken."""


def minimal(target: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Those that reach what no smaller one does, from small to large."""
    kept: list[bytes] = []
    known: set[Feature] = set()
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        found = features(target, data)
        if not found <= known:
            known |= found
            kept.append(data)
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
