"""What a bridge would do with an open, and why: decided by its own code, told as data.

The order is that of docs/protocol.md, "Who serves an open": host, privileges, rules, the bridge itself, nobody.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET

from spanbridge.manifests.match import Mismatch, mismatches
from spanbridge.manifests.model import Rule
from spanbridge.manifests.router import Router
from spanbridge.manifests.template import (
    Expansion,
    ExpansionError,
    Plan,
    Recipe,
    expand,
    parse,
    values,
    variables,
)
from spanbridge.protocol.control import written
from spanbridge.protocol.frames import encode
from spanbridge.protocol.problems import INTERNAL_ERROR, PROTOCOL_ERROR, Problem

from ...helpers.as_written import as_written
from ...helpers.host_rule import without_secrets
from ...helpers.launch import Key, helper_environ
from ...helpers.offered import in_turn, offer
from ...helpers.privileges import privileges, without_privileges
from ...helpers.startable import look_up
from ...payloads import base
from ...session.router import after_failure, nobody, normalise, own_payload, refusal
from .explanation import (
    CONNECTION,
    EMPTY,
    HOST,
    INTERNAL,
    NOBODY,
    PRIVILEGED,
    ROOT,
    RULE,
    RUNNING,
    Attempt,
    Bridge,
    Change,
    Explained,
    Explanation,
    Failure,
    Filled,
    Look,
    Miss,
    Privileged,
    Served,
)
from .hints import hint
from .other_host import far

ATTEMPTS: Final = 20  # rules made a command, at most, once one was found that serves


class Explainer:
    """Explains opens to one bridge. Its rules are indexed once."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._rules = bridge.catalog.rules
        self._router = Router(self._rules)
        self._priorities = {package.name: package.priority for package in bridge.catalog.packages}

    def explain(self, message: dict[str, Any], payload: bytes | None = None) -> Explained:
        """Who gets an open. `payload`: the open as it came, where numbers may be written in ways of their own."""
        bridge = self._bridge
        try:
            matched, forwarded = normalise(message, bridge.host)
            if "host" in matched:
                forwarded = without_secrets(forwarded)
        except Problem as problem:
            return Explained(self._told(message, message, message, served=_closed(problem)))
        privileged = None
        if bridge.superuser != ROOT and message.get("superuser") is not None:
            try:
                wanted = privileges(matched)
                if wanted is not None:
                    privileged = self._privileged(wanted)
                    if bridge.superuser == RUNNING:
                        return Explained(self._told(message, matched, forwarded, privileged, Served(PRIVILEGED)))
                    without_privileges(wanted)
            except Problem as problem:
                return Explained(self._told(message, matched, forwarded, privileged, _closed(problem)))
        came = encode(b"", written(message) if payload is None else payload)
        attempts, served, key = self._attempts(matched, came)
        looks = self._looks(matched)
        winner = attempts[0].position if attempts else None
        told = Explanation(message, matched, forwarded, privileged, looks, winner, attempts, served)
        if key is None:
            return Explained(told)
        serving = next(attempt.position for attempt in attempts if attempt.rule == served.rule)
        recipe = self._router.plan(serving - 1).recipe
        return Explained(told, key, values(recipe, as_written(matched, recipe.variables, came)))

    @staticmethod
    def _told(
        message: dict[str, Any],
        matched: dict[str, Any],
        forwarded: dict[str, Any],
        privileged: Privileged | None = None,
        served: Served = Served(NOBODY),  # noqa: B008 - frozen
    ) -> Explanation:
        """Of an open that the rules are not asked about."""
        return Explanation(message, matched, forwarded, privileged, [], None, [], served)

    def _privileged(self, wanted: str) -> Privileged:
        bridge = self._bridge
        offered, left_out = offer(bridge.catalog.privileged, bridge.environ, bridge.limits.sudo_seconds)
        return Privileged(
            wanted,
            bridge.superuser,
            list(offered),
            {rule.name: why for rule, why in left_out},
            list(in_turn(offered)),
        )

    # The rules

    def _looks(self, message: dict[str, Any]) -> list[Look]:
        looks = []
        first: Rule | None = None
        for position, rule in enumerate(self._rules, 1):
            missed = [_miss(each, message) for each in mismatches(rule, message)]
            priority = self._priorities.get(rule.package, 0)  # our own rule is in no package
            behind = "" if missed or first is None else self._behind(rule, first)
            looks.append(
                Look(
                    position,
                    rule.name,
                    priority,
                    rule.source,
                    rule.match or {},
                    not missed,
                    missed,
                    behind,
                    _refuses(rule),
                )
            )
            if first is None and not missed:
                first = rule
        return looks

    def _behind(self, rule: Rule, first: Rule) -> str:
        if rule.package == first.package:
            return f"behind {first.name}, which its manifest lists before it"
        ours, theirs = self._priorities.get(rule.package, 0), self._priorities.get(first.package, 0)
        if ours != theirs:
            return f"behind {first.name}, whose package has priority {theirs:g}, this one {ours:g}"
        return f"behind {first.name}: packages of one priority, {ours:g}, go by name"

    def _plans(self, message: dict[str, Any]) -> Iterator[tuple[int, Plan]]:
        """The rules that match, in order."""
        position = self._router.find(message)
        while position >= 0:
            yield position, self._router.plan(position)
            position = self._router.find(message, position)

    def _attempts(self, message: dict[str, Any], came: bytes) -> tuple[list[Attempt], Served, Key | None]:
        attempts: list[Attempt] = []
        served: Served | None = None
        key: Key | None = None
        failures: list[str] = []
        for position, (rule, identity, recipe) in self._plans(message):
            forbidden = refusal(rule)
            if forbidden is not None:
                return attempts, served or _closed(forbidden), key
            try:
                filled = as_written(message, recipe.variables, came)
                expansion = expand(recipe, filled)
            except ExpansionError as error:
                problem = Problem(PROTOCOL_ERROR, f"{rule.name}: {error}")
                attempts.append(self._unmade(position, rule, recipe, problem.message))
                return attempts, served or _closed(problem), key
            attempt = self._attempt(position, rule, recipe, expansion, filled)
            attempts.append(attempt)
            failed = Problem(
                INTERNAL_ERROR, f"{rule.name} ({expansion.argv[0]}): cannot be started: {_in_full(attempt)}"
            )
            failures.append(failed.message)
            last = after_failure(rule, failed)
            if last is not None:  # put together for that one alone: there may be thousands
                last = after_failure(rule, Problem(failed.code, "; ".join(failures)))
            if served is None and not attempt.cannot_start:
                served, key = Served(RULE, rule.name), (identity, expansion)
            elif served is None and last is not None:
                served = _closed(last)
            if last is not None:
                return attempts, served or _closed(last), key
            if served is not None and len(attempts) >= ATTEMPTS:
                return attempts, served, key
        return attempts, served or self._itself(message, failures), key

    def _itself(self, message: dict[str, Any], failures: list[str]) -> Served:
        """No rule has it: a connection to its host, the bridge itself, or nobody."""
        if "host" in message and self._bridge.limits.hosts:
            return self._connected(message)
        payload = own_payload(message)
        if base.find(payload) is None:
            return _closed(nobody(message, failures, self._bridge.catalog))
        try:
            base.check(message)
        except Problem as problem:
            return _closed(problem, payload)
        return Served(INTERNAL, payload=payload)

    def _connected(self, message: dict[str, Any]) -> Served:
        try:
            return Served(HOST, far=far(message, self._bridge.limits, self._bridge.environ))
        except Problem as problem:
            return _closed(problem)

    def _attempt(
        self, position: int, rule: Rule, recipe: Recipe, expansion: Expansion, message: dict[str, Any]
    ) -> Attempt:
        bridge = self._bridge
        environ = helper_environ(bridge.environ, rule, expansion, bridge.depth)
        program = look_up(expansion.argv, environ, expansion.directory, bridge.directory)
        return Attempt(
            position=position + 1,
            rule=rule.name,
            source=rule.source,
            problem="",
            argv=list(expansion.argv),
            environ=_changes(bridge.environ, environ),
            directory=os.path.join(bridge.directory, expansion.directory) if expansion.directory else bridge.directory,
            own_directory=expansion.directory is None,
            filled=list(_filled(rule, expansion, message)),
            depends_on=list(recipe.variables),
            timeout=rule.timeout,
            program=program.path,
            cannot_start=program.why,
            detail=program.detail,
            if_it_fails=self._if_it_fails(position, rule, message),
        )

    def _unmade(self, position: int, rule: Rule, recipe: Recipe, problem: str) -> Attempt:
        return Attempt(
            position=position + 1,
            rule=rule.name,
            source=rule.source,
            problem=problem,
            argv=[],
            environ=[],
            directory="",
            own_directory=False,
            filled=[],
            depends_on=list(recipe.variables),
            timeout=rule.timeout,
            program="",
            cannot_start="",
            detail="",
            if_it_fails=Failure("", "", ""),
        )

    def _if_it_fails(self, position: int, rule: Rule, message: dict[str, Any]) -> Failure:
        """When the helper says nothing of its own."""
        last = after_failure(rule, Problem(INTERNAL_ERROR, ""))
        if last is not None:
            return Failure(last.code or EMPTY, "", "")
        following = self._router.find(message, position)
        if following >= 0:
            forbidden = refusal(self._rules[following])
            if forbidden:
                return Failure(forbidden.code or EMPTY, "", "")
            return Failure("", self._rules[following].name, "")
        served = self._itself(message, ["it failed"])
        if served.by == HOST:
            return Failure("", CONNECTION, "")
        return Failure(served.problem, "", served.payload if served.by == INTERNAL else "")


def _refuses(rule: Rule) -> str | None:
    forbidden = refusal(rule)
    return forbidden.code if forbidden else None


def _closed(problem: Problem, payload: str = "") -> Served:
    return Served(NOBODY, payload=payload, problem=problem.code, message=problem.message)


def _miss(found: Mismatch, message: dict[str, Any]) -> Miss:
    return Miss(found.member, found.wanted, found.got, str(found), hint(found, message))


def _changes(own: Mapping[str, str], environ: Mapping[str, str]) -> list[Change]:
    changes = []
    for name in sorted({*own, *environ}):
        if name not in environ:
            changes.append(Change("removed", name, UNSET, own[name]))
        elif name not in own:
            changes.append(Change("added", name, environ[name], UNSET))
        elif own[name] != environ[name]:
            changes.append(Change("changed", name, environ[name], own[name]))
        else:
            changes.append(Change("inherited", name, environ[name], UNSET))
    return changes


def _filled(rule: Rule, expansion: Expansion, message: dict[str, Any]) -> Iterator[Filled]:
    """The texts of a rule that differ from open to open."""
    texts = [(f"spawn[{index}]", *pair) for index, pair in enumerate(zip(rule.spawn, expansion.argv, strict=True))]
    for index, (template, (name, value)) in enumerate(zip(rule.environ, expansion.environ, strict=True)):
        texts.append((f"environ[{index}]", template, f"{name}={value}"))
    if rule.directory is not None:
        texts.append(("directory", rule.directory, expansion.directory or ""))
    for where, template, text in texts:
        used = list(dict.fromkeys(variables(parse(template))))
        if used:
            yield Filled(where, template, text, [name for name in used if message.get(name) is None])


def _in_full(attempt: Attempt) -> str:
    """Why it cannot be started, as a bridge says it."""
    return f"{attempt.cannot_start} ({attempt.detail})" if attempt.program and attempt.detail else attempt.cannot_start
