"""Runs of frames of one length: they lie one stride apart, and one slice shows a byte of each (splitter.py)."""

from collections.abc import Callable
from typing import TypeVar, cast

Route = TypeVar("Route")


def agreeing(data: bytes, pos: int, size: int, prefix: bytes, limit: int) -> int:
    """How many frames, `size` bytes apart from `pos` on, begin with `prefix`; at most `limit` are looked at."""
    agreed = limit
    for column, _ in enumerate(prefix, pos):
        found = data[column : pos + agreed * size : size]
        expected = prefix[column - pos : column - pos + 1]
        if found != expected * agreed:
            agreed -= len(found.lstrip(expected))
    return agreed


def targets(
    data: bytes, pos: int, size: int, run: int, skip: int, id_bytes: int, get: Callable[[bytes], Route | None]
) -> list[Route]:
    """Where each of `run` frames of one length goes, up to the first one that must be looked at by itself.

    `skip` is the length of their length line, `id_bytes` that of the id of the first of them, which has a route.
    """
    starts = range(pos + skip, pos + run * size, size)
    if data[starts.start + id_bytes : pos + run * size : size] == b"\n" * run:
        idents = [data[at : at + id_bytes] for at in starts]  # an id with a line feed in it has no route
    else:
        room = size - skip
        idents = [data[at : max(at, find(b"\n", at, at + room))] for find in (data.find,) for at in starts]
    found = list(map(get, idents))  # None for a control frame too: the empty id is never routed
    if None in found:
        del found[found.index(None) :]
    return cast("list[Route]", found)
