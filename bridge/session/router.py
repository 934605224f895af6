"""Who serves an open: a decision, no I/O and no process (docs/protocol.md, "Who serves an open")."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import Recipe, compile_rule
from spanbridge.protocol.problems import ACCESS_DENIED, NO_HOST, NOT_SUPPORTED, PROTOCOL_ERROR, Problem

REQUIRE: Final = "require"
TRY: Final = "try"


class Plan(NamedTuple):
    """One rule, made ready when it is first needed: with ten thousand rules most never are."""

    rule: Rule
    identity: bytes
    recipe: Recipe


class Router:
    """The rules in force."""

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


def normalise(message: dict[str, Any], own_host: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An open as it is matched, and as it is forwarded; the same object as `message` where nothing changes.

    It is matched without a `host` that is our own. `host: name+key+value` becomes `host: name` and, unless there is
    such a member, `host-key: value` in both. Raises Problem (`protocol-error`) for a host that is no name.
    """
    if "host" not in message:
        return message, message
    host = message["host"]
    if not isinstance(host, str) or not host:
        raise Problem(PROTOCOL_ERROR, f'"host" of the open: expected a name, found {host!r}')
    name, *extra = host.split("+", 2)
    if len(extra) == 2:
        key, value = extra
        if not name or not key:
            raise Problem(PROTOCOL_ERROR, f'"host" of the open: expected name+key+value, found {host!r}')
        message = {f"host-{key}": value, **message, "host": name}
    if message["host"] == own_host:
        return {key: value for key, value in message.items() if key != "host"}, message
    return message, message


def privileges(message: dict[str, Any]) -> str | None:
    """Whether a normalised open asks for the privileged helper of this host: REQUIRE, TRY, or None.

    Raises Problem (`protocol-error`) for a `superuser` that is none of what it may be.
    """
    wanted = message.get("superuser")
    if wanted is None or wanted is False or "host" in message:
        return None
    if wanted is True:
        return REQUIRE
    if wanted in (REQUIRE, TRY):
        return str(wanted)
    raise Problem(
        PROTOCOL_ERROR, f'"superuser" of the open: expected "require", "try", true or false, found {wanted!r}'
    )


def without_privileges(wanted: str) -> None:
    """There is no privileged helper: what tries goes on as if it had not asked. Raises Problem for what requires it."""
    if wanted == REQUIRE:
        raise Problem(ACCESS_DENIED, "administrative access was asked for, and no privileged bridge runs")


def after_failure(rule: Rule, problem: Problem) -> Problem | None:
    """What an open is closed with when the helper of `rule` failed to start without a word of its own; None: it goes on
    to the next rule."""
    return None if rule.problem is None else Problem(rule.problem, problem.message)


def own_payload(message: dict[str, Any]) -> Any:
    """What the bridge is to serve itself where no rule will; None for another host, which is not its own affair."""
    return None if "host" in message else message.get("payload")


def nobody(message: dict[str, Any], failures: Iterable[str]) -> Problem:
    """What an open is closed with that no rule will have and that the bridge does not serve itself.

    `failures`: what became of the rules that matched.
    """
    tried = "; ".join(failures)
    why = tried or "no rule matches"
    if "host" in message:
        return Problem(NOT_SUPPORTED if tried else NO_HOST, f"nobody serves host {message['host']!r}: {why}")
    if "payload" not in message:
        return Problem(NOT_SUPPORTED, f"nobody serves an open without a payload: {why}")
    return Problem(NOT_SUPPORTED, f"nobody serves payload {message['payload']!r}, nor is it an internal one: {why}")
