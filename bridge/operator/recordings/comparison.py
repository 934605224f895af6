"""Frames that came, beside those that were recorded: channel by channel, in their order there."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from ..printable import printable
from .recording import Record
from .script import Kind, Step, kind, lane

TOLD: Final = 20
"""Differences that are told one by one; the others are counted."""
_VARYING: Final = {"authorize": frozenset({"cookie", "challenge"})}

Level = Literal["payload", "size", "kind"]


class Comparison:
    """`level`: what must be the same. `ignored`: members of control messages, at any depth, that need not be."""

    def __init__(self, expected: Iterable[Step], level: Level, ignored: frozenset[str]) -> None:
        self._left: dict[str, deque[Step]] = {}
        for step in expected:
            if step.what == "expect":
                self._left.setdefault(lane(step.record), deque()).append(step)
        self._level = level
        self._ignored = ignored
        self.expected = sum(map(len, self._left.values()))
        self.came = 0
        self.differences = 0
        self._told: list[str] = []
        self._astray: set[str] = set()  # channels on which another kind of frame came than was expected
        self.arrived: Counter[Kind] = Counter()

    def take(self, got: Record) -> str:
        """Compare a frame that came with the next that was expected there; how it differs, or nothing."""
        self.came += 1
        self.arrived[kind(got)] += 1
        where = lane(got)
        if where in self._astray:
            self.differences += 1
            return "after another one that was not expected"
        left = self._left.get(where)
        if not left:
            return self._differs(f"{_named(where)}: one more than expected: {_shown(got)}")
        step = left.popleft()
        if kind(step.record) != kind(got):
            self._astray.add(where)
            left.clear()
            told = f"expected {_shown(step.record)}, got {_shown(got)}; what follows there is not compared"
            return self._differs(f"{_place(step)}: {told}")
        try:
            why = self._why(step.record, got)
        except RecursionError:
            why = "nested too deeply to be compared"
        return self._differs(f"{_place(step)}: {why}") if why else ""

    def finish(self) -> None:
        """Nothing more will come: what did not is a difference."""
        for left in self._left.values():
            for step in left:
                self._differs(f"{_place(step)}: did not come: {_shown(step.record)}")
            left.clear()

    def note(self, difference: str) -> None:
        """A difference that is not about one frame."""
        self._differs(difference)

    @property
    def lines(self) -> Iterator[str]:
        """The differences, for people."""
        yield from self._told
        if self.differences > len(self._told):
            yield f"... and {self.differences - len(self._told)} more"

    def _differs(self, text: str) -> str:
        self.differences += 1
        if len(self._told) < TOLD:
            self._told.append(text)
        return text

    def _why(self, wanted: Record, got: Record) -> str:
        if self._level == "kind":
            return ""
        if wanted.message is not None and got.message is not None:
            left_out = self._ignored | _VARYING.get(str(wanted.message.get("command")), frozenset())
            return _members(_without(wanted.message, left_out), _without(got.message, left_out))
        if wanted.size != got.size:
            return f"expected {_shown(wanted)}, got {_shown(got)}"
        if self._level == "size" or wanted.redacted:
            return ""
        same = got.data.startswith(wanted.data) if wanted.shortened else got.data == wanted.data
        return "" if same else f"expected {_shown(wanted)}, got {_shown(got)}"


def _members(wanted: dict[str, Any], got: dict[str, Any]) -> str:
    for name in {**wanted, **got}:
        if name not in got:
            return printable(f"{name}: expected {wanted[name]!r}, got none")
        if name not in wanted:
            return printable(f"{name}: expected none, got {got[name]!r}")
        if wanted[name] != got[name]:
            return printable(f"{name}: expected {wanted[name]!r}, got {got[name]!r}")
    return ""


def _without(value: Any, names: frozenset[str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        return {name: _without(member, names) for name, member in value.items() if name not in names}
    return [_without(each, names) for each in value] if isinstance(value, list) else value


def _place(step: Step) -> str:
    return f"{_named(lane(step.record))}: frame {step.number} (line {step.line})"


def _named(channel: str) -> str:
    return f"channel {printable(channel)}" if channel else "control"


def _shown(record: Record) -> str:
    if record.message is not None:
        return str(record.message.get("command"))
    if record.garbage is not None:
        return f"{record.size} bytes that are no frame"
    data = record.data
    shown = repr(data[:60])[1:] + ("..." if len(data) > 60 or record.shortened else "")
    return f"{record.size} bytes" + (f" {shown}" if data else "")
