"""Finding the rules for an open without asking them one by one.

Goal: an open costs the same with ten thousand rules as with one, and the first rule that takes it is found without
looking at those after it.

Plan: each rule is filed in one bucket, under that thing its match asks for that the fewest rules ask for:

    exact      a member with a certain string, number, true or false
    prefix     a member that starts with some text: "svc123-*"
    suffix     a member that ends with some text: "*.example.com"
    present    a member that is there: null, "*", a list, an object
    always     nothing at all: {}

An open is looked up by its own members, or by the members that are filed under, whichever are fewer. That gives the
few buckets that can hold rules for it. They are merged in rule order, lazily, and each rule in them is tested for what
its bucket does not say already.

Cost: O(members) lookups, for prefix and suffix one for each length in use with that member; then what the buckets hold
before the first rule that fits. Going on behind a rule that was found costs the same again, wherever it stands. Rules
that ask for the same things and differ only within a list or an object share a bucket and are tested one after another.

A rule that names `host` needs it, and a rule that does not must not see opens that have it: they never compete, so each
kind is indexed on its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Any, TypeAlias

from .model import Rule
from .value import Test, compile_value
from .wildcard import is_wildcard

HOST = "host"

Bucket: TypeAlias = list[int]
"""Positions of rules, ascending."""

_EXACT, _PREFIX, _SUFFIX, _PRESENT = range(4)
_Key: TypeAlias = tuple[int, str, Hashable]
"""Kind, member, and the value or text."""


class RuleIndex:
    """Rules in their order, which is that of the iterable. Privileged rules among them are never offered."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        numbered = [(position, rule.match) for position, rule in enumerate(self._rules) if rule.match is not None]
        self._here = _Shelves([(position, match) for position, match in numbered if HOST not in match])
        self._elsewhere = _Shelves([(position, match) for position, match in numbered if HOST in match])
        proven = self._here.proven | self._elsewhere.proven
        self._tests = tuple([_tests(rule, proven.get(position)) for position, rule in enumerate(self._rules)])

    def candidates(self, open_message: Mapping[str, Any]) -> Iterator[Rule]:
        """The rules that take this open, in order, each found when it is asked for.

        An open with `host` is for another host: the caller removes it when it names this one.
        """
        position = self.find(open_message)
        while position >= 0:
            yield self._rules[position]
            position = self.find(open_message, position)

    def find(self, open_message: Mapping[str, Any], after: int = -1) -> int:
        """The position of the first rule behind position `after` that takes this open; -1: there is none.

        As `candidates`, for a caller who wants one rule, nearly always the first.
        """
        shelves = self._elsewhere if HOST in open_message else self._here
        buckets = shelves.buckets(open_message)
        for position in buckets[0] if after < 0 and len(buckets) == 1 else _merged(buckets, after):
            for member, test in self._tests[position]:
                if member not in open_message or (test is not None and not test(open_message[member])):
                    break
            else:
                return position
        return -1

    def rule(self, position: int) -> Rule:
        """The rule that `find` found."""
        return self._rules[position]


class _Shelf:
    """The buckets of one member."""

    __slots__ = ("exact", "prefixes", "present", "suffixes")

    def __init__(self) -> None:
        self.exact: dict[Hashable, Bucket] = {}
        self.prefixes: dict[int, dict[str, Bucket]] = {}
        self.suffixes: dict[int, dict[str, Bucket]] = {}
        self.present: Bucket = []

    def bucket(self, kind: int, value: Hashable) -> Bucket:
        if kind == _PRESENT:
            return self.present
        if kind == _EXACT or not isinstance(value, str):
            return self.exact.setdefault(value, [])
        affixes = self.prefixes if kind == _PREFIX else self.suffixes
        return affixes.setdefault(len(value), {}).setdefault(value, [])

    def collect(self, value: Any, buckets: list[Bucket]) -> None:
        """Add the buckets that an open with this value can be served from."""
        if self.present:
            buckets.append(self.present)
        if self.exact and (bucket := self.exact.get(_exact(value))):
            buckets.append(bucket)
        if isinstance(value, str):
            for length, texts in self.prefixes.items():
                if bucket := texts.get(value[:length]):
                    buckets.append(bucket)
            for length, texts in self.suffixes.items():
                if bucket := texts.get(value[-length:]):
                    buckets.append(bucket)


class _Shelves:
    """All buckets of rules that compete."""

    __slots__ = ("_always", "_shelves", "proven")

    def __init__(self, matches: list[tuple[int, dict[str, Any]]]) -> None:
        self._always: Bucket = []
        self._shelves: dict[str, _Shelf] = {}
        self.proven: dict[int, str] = {}
        """By position, the member that needs no test any more, since the rule's bucket says all about it."""
        keys = [[_key(member, wanted) for member, wanted in match.items()] for _, match in matches]
        asked_for: dict[_Key, int] = {}
        for needs in keys:
            for need in needs:
                asked_for[need] = asked_for.get(need, 0) + 1
        for (position, match), needs in zip(matches, keys, strict=True):
            if not needs:
                self._always.append(position)
                continue
            kind, member, value = min(needs, key=lambda need: (asked_for[need], need[0]))
            self._shelves.setdefault(member, _Shelf()).bucket(kind, value).append(position)
            if _proves(kind, value, match[member]):
                self.proven[position] = member

    def buckets(self, open_message: Mapping[str, Any]) -> list[Bucket]:
        found = [self._always] if self._always else []
        shelves = self._shelves
        if len(open_message) <= len(shelves):
            for member in open_message:
                shelf = shelves.get(member)
                if shelf is not None:
                    shelf.collect(open_message[member], found)
        else:
            for member, shelf in shelves.items():
                if member in open_message:
                    shelf.collect(open_message[member], found)
        return found


def _tests(rule: Rule, proven: str | None) -> tuple[tuple[str, Test | None], ...]:
    match = rule.match or {}
    return tuple([(member, compile_value(wanted)) for member, wanted in match.items() if member != proven])


def _proves(kind: int, value: Hashable, wanted: Any) -> bool:
    """Whether an open that leads to the bucket has what is wanted of that member. Most do, and a test costs time."""
    if kind == _EXACT:
        return isinstance(wanted, str)  # 1 and true share a bucket
    if kind == _PRESENT:
        return wanted is None
    return bool(wanted == (f"{value}*" if kind == _PREFIX else f"*{value}"))


def _key(member: str, wanted: Any) -> _Key:
    if isinstance(wanted, str) and is_wildcard(wanted):
        prefix = wanted.replace("?", "*").partition("*")[0]
        suffix = wanted.replace("?", "*").rpartition("*")[2]
        # The longer text is asked for by fewer, most likely; to count both would file no rule better often enough.
        if prefix and len(prefix) >= len(suffix):
            return _PREFIX, member, prefix
        return (_SUFFIX, member, suffix) if suffix else (_PRESENT, member, None)
    value = _exact(wanted)
    return (_PRESENT, member, None) if value is None else (_EXACT, member, value)


def _exact(value: Any) -> Hashable:
    """What stands for a value among the exact ones; None for one that cannot be filed by value.

    Python takes 1, 1.0 and True for one key: the rules that want one or the other share a bucket, and are told apart by
    their tests.
    """
    return value if isinstance(value, (str, int, float)) else None


def _merged(buckets: list[Bucket], after: int) -> Iterator[int]:
    """All positions in the buckets behind `after`, ascending; no two are equal, for each rule is filed once."""
    starts = [(bisect_right(bucket, after), bucket) for bucket in buckets]
    heads = [(bucket[start], start, bucket) for start, bucket in starts if start < len(bucket)]
    heapify(heads)
    while heads:
        position, index, bucket = heads[0]
        yield position
        if index + 1 < len(bucket):
            heapreplace(heads, (bucket[index + 1], index + 1, bucket))
        else:
            heappop(heads)
