"""Runs of small frames of any sizes, recognised by a regular expression instead of one by one.

An expression cannot count, but it can list: "12", LF and any 12 bytes; "13", LF and any 13 bytes; and so on up to
`LONGEST`, as a tree over the digits. That is one step of the interpreter for a whole run, and 50 to 90 ns a frame,
or 240 where ids are listed; reading a frame by itself takes 500. Two kinds of runs are known:

* frames of one channel: the first id is remembered, and each that follows must be the same;
* frames of several channels that go to one place: their ids are listed.

To compile the tree takes 10 to 20 ms for each of the two expressions, once in a process, and half a MiB. So it is not
done before so many frames of a stream were read one by one that it would have been worth it.

No possessive quantifiers: Python before 3.11.5 may stop within a frame with them.
"""

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import re

Route = TypeVar("Route")

LONGEST: Final = 511
"""Bytes after the length line of the frames that are recognised: the bytes of a longer one cost more than itself."""

LONGEST_ID: Final = 32

_WORTH = 16_384  # frames read one by one: they have cost as much as the expression for one channel
_WORTH_SEVERAL = 65_536  # the same for several, with which less is gained
_SAME_BYTES = 16_384  # of one channel, at most at once: frames of equal sizes may follow, of which a run is faster
_FEW_BYTES = 2_048  # of several channels, looked at ahead; four times as many each time all of them can be used
_MANY_BYTES = 32_768
_PATIENCE = 16  # frames read one by one before it is tried, twice as many each time that it was in vain
_MOST_PATIENCE = 512
_ID: Final = itemgetter(0)
_GAIN = 256  # bytes from which on it was worth it


class Mixed:
    """What one stream has shown so far of its runs."""

    __slots__ = ("_alone", "_reach", "patience")

    def __init__(self) -> None:
        self._alone = 0  # frames that were read one by one
        self.patience = _PATIENCE  # frames to be read one by one before `run` is worth a call
        self._reach = _FEW_BYTES

    def run(self, data: bytes, pos: int, stop: int, get: Callable[[bytes], Route | None], route: Route) -> int:
        """Where the run of frames ends that all go to `route`: `stop`, or behind it.

        A whole frame lies at `pos`, ends at `stop` and goes there, too. `get` gives the route of an id.
        """
        self._alone += self.patience
        if self._alone <= _WORTH:
            return stop
        end = stop
        if _same_next(data, pos, stop):
            end = self._same(data, pos, stop)
        if end - stop < _GAIN and self._alone > _WORTH_SEVERAL:
            end = max(end, self._several(data, pos, stop, get, route))
        self.patience = 1 if end - stop >= _GAIN else min(2 * max(self.patience, _PATIENCE), _MOST_PATIENCE)
        return end

    def _same(self, data: bytes, pos: int, stop: int) -> int:
        """The end of a run on one channel."""
        found = _of_one().match(data, pos, pos + _SAME_BYTES)
        return max(stop, found.end()) if found else stop

    def _several(self, data: bytes, pos: int, stop: int, get: Callable[[bytes], Route | None], route: Route) -> int:
        """The end of a run on several channels."""
        end = min(pos + self._reach, len(data))
        found = _listed(data, pos, end)
        rest = found[-1][1]
        if rest:
            found.pop()
        if set(map(get, map(_ID, found))) != {route}:
            self._reach = _FEW_BYTES
            return stop
        self._reach = min(4 * self._reach, _MANY_BYTES)
        return end - len(rest)


def _same_next(data: bytes, pos: int, stop: int) -> bool:
    """Whether the frame at `stop` is of the same channel as the one at `pos`."""
    body = data.index(b"\n", pos)
    channel = data[body : data.index(b"\n", body + 1) + 1]
    return data.startswith(channel, data.find(b"\n", stop, stop + 4))


def _listed(data: bytes, pos: int, end: int) -> list[tuple[bytes, bytes]]:
    """The id of each frame between the two, empty where it is longer than `LONGEST_ID`, and then, as (b"", rest), what
    is left where they are over."""
    return _of_several().findall(data, pos, end)


@cache
def _of_one() -> "re.Pattern[bytes]":
    """A run on one channel."""
    return _compiled(rf"(?=[0-9]{{1,3}}(\n[^\n]{{1,{LONGEST_ID}}}\n))(?:(?=[0-9]{{1,3}}\1){_any()})*")


@cache
def _of_several() -> "re.Pattern[bytes]":
    """A frame, and its id; or what is left."""
    ident = rf"(?=[0-9]{{1,3}}\n([^\n]{{1,{LONGEST_ID}}}(?=\n)|))"
    return _compiled(f"{ident}{_any()}|(.+)")


def _compiled(expression: str) -> "re.Pattern[bytes]":
    import re

    return re.compile(expression.encode(), re.DOTALL)


def _any(digits: str = "") -> str:
    """Any data frame whose length begins with `digits`, from behind them on. Its id may be too long."""
    ways = [f"{digit}{_any(digits + digit)}" for digit in "0123456789" if 1 <= int(digits + digit) <= LONGEST]
    length = int(digits or "0")
    if length > 1:
        # An id without an LF within the frame is an error; it may be too long for that. None at all: a control frame.
        within = rf"(?=[^\n]{{1,{length - 1}}}\n)" if length <= LONGEST_ID else r"(?!\n)"
        ways.append(rf"\n{within}.{{{length}}}")
    return f"(?:{'|'.join(ways)})"
