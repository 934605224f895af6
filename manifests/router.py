"""Who is to serve an open: the rules in force, each made ready when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .index import RuleIndex
from .model import Rule
from .template import Plan, compile_rule


class Router:
    """The rules in force. Each is made ready when it is first needed: with ten thousand rules most never are."""

    __slots__ = ("_by_channel", "_index", "_plans", "_rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._index = RuleIndex(rules)
        self._plans: dict[int, Plan] = {}
        self._by_channel: bool | None = None  # whether some rule matches by channel; asked for when it is needed

    def find(self, message: dict[str, Any], after: int = -1) -> int:
        """The position of the next rule to try for a normalised open, behind the one at `after`; -1: there is none."""
        return self._index.find(message, after)

    def position(self, identity: bytes) -> int:
        """Where a rule stands that was tried under other rules; -1: nowhere, all of these are still to be tried."""
        return next((place for place, rule in enumerate(self._rules) if rule.identity == identity), -1)

    def plan(self, position: int) -> Plan:
        """What is known of the rule at `position`."""
        plan = self._plans.get(position)
        if plan is None:
            rule = self._index.rule(position)
            plan = self._plans[position] = Plan(rule, rule.identity, compile_rule(rule))
        return plan

    def heeds_channel(self, position: int) -> bool:
        """Whether an open that differs in its channel alone may be for another rule than the one at `position`, or
        for another helper of that."""
        if self._by_channel is None:
            self._by_channel = any(rule.match is not None and "channel" in rule.match for rule in self._rules)
        return self._by_channel or "channel" in self.plan(position).recipe.variables
