"""Whether a rule takes an open, and why not (docs/manifests.md, "Matching")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from .index import HOST, RuleIndex
from .model import Rule
from .value import compile_value

__all__ = ["HOST", "Mismatch", "RuleIndex", "matches", "mismatch", "mismatches"]


class Mismatch(msgspec.Struct, frozen=True):
    """Why a rule does not take an open: a member that is not satisfied."""

    member: str
    wanted: Any
    """As the rule has it, so null is any value. UNSET: the member must not be there."""
    got: Any
    """UNSET: the open has no such member."""

    def __str__(self) -> str:
        from .member import describe

        if self.wanted is msgspec.UNSET:
            wanted = "none, since a rule that does not name it serves this host alone"
        else:
            wanted = "any value" if self.wanted is None else describe(self.wanted)
        got = "nothing" if self.got is msgspec.UNSET else describe(self.got)
        return f"{self.member}: wanted {wanted}, got {got}"


def matches(rule: Rule, open_message: Mapping[str, Any]) -> bool:
    """Whether the rule takes the open.

    An open with `host` is for another host (the caller removes it when it names this one), and only a rule whose match
    names `host` takes it. A privileged rule takes none.
    """
    return mismatch(rule, open_message) is None


def mismatch(rule: Rule, open_message: Mapping[str, Any]) -> Mismatch | None:
    """What keeps the rule from taking the open, or None if nothing does. For many opens, use a RuleIndex."""
    return next(mismatches(rule, open_message), None)


def mismatches(rule: Rule, open_message: Mapping[str, Any]) -> Iterator[Mismatch]:
    """All that keeps the rule from taking the open, in the order of its members."""
    if rule.match is None:
        yield Mismatch("privileged", False, True)
        return
    for member, wanted in rule.match.items():
        if member not in open_message:
            yield Mismatch(member, wanted, msgspec.UNSET)
            continue
        test = compile_value(wanted)
        if test is not None and not test(open_message[member]):
            yield Mismatch(member, wanted, open_message[member])
    if HOST in open_message and HOST not in rule.match:
        yield Mismatch(HOST, msgspec.UNSET, open_message[HOST])
