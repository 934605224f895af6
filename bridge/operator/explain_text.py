"""An explanation as text for people."""

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec import UNSET

from manifests.model import Catalog

from .explanation import (
    INTERNAL,
    NOBODY,
    PRIVILEGED,
    REQUIRE,
    RULE,
    Attempt,
    Bridge,
    Change,
    Explanation,
    Failure,
    Filled,
    Look,
    Reuse,
)
from .terminal import Paint

RUN: Final = 6  # rules in a row that do not match and are all shown
NEAR: Final = 4  # of a longer row, how many that nearly match
LEFT_OUT: Final = 6  # defects, and packages not in use, that are named
SHOWN: Final = 300  # characters of a value
NEXT: Final = 5  # rules behind the winner that are named

_INDENT: Final = " " * 10
_MARKS: Final = {"added": "+", "changed": "~", "removed": "-"}
_STYLES: Final = {"added": "green", "changed": "yellow", "removed": "red"}


class Text:
    """Renders explanations. `everything`: nothing is left out for being long."""

    def __init__(self, bridge: Bridge, paint: Paint, *, everything: bool = False) -> None:
        self._bridge = bridge
        self._paint = paint
        self._everything = everything

    def explanation(self, told: Explanation, number: int, count: int) -> Iterator[str]:
        """The lines about one open of `count`."""
        bold = self._paint
        yield bold("bold", f"Open{f' {number}' if count > 1 else ''}  ") + _object(_given(told.open))
        yield from self._host(told)
        yield from self._superuser(told)
        yield ""
        yield from self._rules(told)
        serving = _serving(told)
        yield self._verdict(told)
        if serving is not None:
            yield from self._attempt(serving)
            yield from self._failure(told, serving)
        elif told.attempts:
            for attempt in told.attempts:
                yield from self._unable(attempt)
        else:
            yield from self._closest(told)

    # What comes before the rules

    def _host(self, told: Explanation) -> Iterator[str]:
        host = told.open.get("host")
        if "host" not in told.open or (told.matched is told.open and "host" not in told.forwarded):
            return
        if "host" not in told.matched:
            yield f"  host     {_value(host)} is this host: it is matched without"
        elif told.forwarded is not told.open:
            key = next(name for name in told.forwarded if name not in told.open or name == "host-key")
            extra = {name: value for name, value in told.forwarded.items() if told.open.get(name) != value}
            yield f"  host     {_value(host)} becomes {_object(extra) if extra else key}"
        if "host" in told.matched and told.served.problem != "protocol-error":
            yield "  host     another one: only rules whose match names host are asked, and nothing is served here"

    def _superuser(self, told: Explanation) -> Iterator[str]:
        wanted = told.open.get("superuser")
        if wanted is None or wanted is False:
            return
        if "host" in told.matched:
            yield f"  superuser  {_value(wanted)} goes to the other host as it is"
            return
        if told.privileged is None:
            if told.served.problem != "protocol-error" or told.rules:
                yield "  superuser  this bridge runs as root: nothing to gain, it is as if the open had not asked"
            return
        there = ", ".join(told.privileged.offered) or "none"
        if told.served.by == PRIVILEGED:
            yield f"  superuser  {_value(wanted)}, and a privileged bridge runs; offered: {there}"
        elif told.privileged.wanted == REQUIRE:
            yield f"  superuser  {_value(wanted)}, and no privileged bridge runs; offered: {there}"
        else:
            yield f"  superuser  {_value(wanted)}, and no privileged bridge runs: as if it had not asked"
            yield f"{_INDENT} (while one runs it would have the channel; offered: {there})"
        for rule, why in told.privileged.left_out.items():
            yield f"{_INDENT} not offered: {rule}: {why}"

    # The rules

    def _rules(self, told: Explanation) -> Iterator[str]:
        if not told.rules:
            if told.served.by in (PRIVILEGED, NOBODY) and self._bridge.catalog.rules:
                yield "The rules are not asked."
            else:
                yield "There are no rules."
            yield ""
            return
        yield self._paint("bold", "Rules, in the order in which they are tried")
        last = told.attempts[-1].position if told.attempts else len(told.rules)
        width = max(len(look.rule) for look in told.rules)
        width = min(width, 40)
        wide = len(str(told.rules[-1].position))
        for matches, group in groupby(told.rules, lambda look: look.matches):
            run = list(group)
            if matches:
                for look in run[: None if self._everything else NEXT]:
                    yield from self._look(look, told, width, wide)
                if not self._everything and len(run) > NEXT:
                    yield self._paint("dim", f"{' ' * wide}       {len(run) - NEXT} more match (--all shows them)")
            else:
                yield from self._misses(run, told, width, wide)
        del last
        yield ""

    def _misses(self, run: list[Look], told: Explanation, width: int, wide: int) -> Iterator[str]:
        shown = run
        if not self._everything and len(run) > RUN:
            near = sorted((look for look in run if _near(look)), key=lambda look: (-_agreeing(look), look.position))
            shown = sorted(near[:NEAR], key=lambda look: look.position)
        for look in shown:
            yield from self._look(look, told, width, wide)
        left = len(run) - len(shown)
        if left:
            more = "more do not match" if shown else "do not match"
            yield self._paint("dim", f"  {' ' * wide}       {left} {more} (--all shows them)")

    def _look(self, look: Look, told: Explanation, width: int, wide: int) -> Iterator[str]:
        priority = f"  priority {look.priority:g}" if look.priority != 1 else ""
        place = f"{look.rule:<{width}}  {_file(look.source, self._bridge)}{priority}"
        indent = " " * (wide + 11)
        if look.matches:
            wins = look.position == told.winner
            mark, style = ("WINS ", "green") if wins else ("next ", "blue")
            yield f"  {look.position:>{wide}}  {self._paint(style, mark)}  {self._paint('bold', place)}"
            yield f"{indent}match {_object(look.match)}"
            return
        yield f"  {look.position:>{wide}}  {self._paint('red', 'no   ')}  {place}"
        for miss in look.misses:
            yield f"{indent}{_one_line(miss.text)}"
            if miss.hint:
                yield f"{indent}{self._paint('yellow', f'  ({miss.hint})')}"

    def _closest(self, told: Explanation) -> Iterator[str]:
        """What a rule that nobody won with would have needed."""
        near = [look for look in told.rules if _near(look)]
        if near and told.served.by == NOBODY:
            best = max(near, key=lambda look: (_agreeing(look), -look.position))
            missing = ", ".join(dict.fromkeys(miss.member for miss in best.misses))
            yield f"  closest  {best.rule}, all of it but {missing}"

    # Who serves it

    def _verdict(self, told: Explanation) -> str:
        served = told.served
        if served.by == RULE:
            head = self._paint("green", f"Served by {served.rule}")
            if told.winner is not None and told.attempts[0].rule != served.rule:
                head += f", since {told.attempts[0].rule} cannot be started"
            return head
        if served.by == INTERNAL:
            failed = ", since no rule that matches can be started" if told.attempts else ""
            return self._paint("green", f"Served by the bridge itself: payload {served.payload}") + failed
        if served.by == PRIVILEGED:
            return self._paint("green", "Served by the privileged bridge that runs")
        head = self._paint("red", f"Served by nobody: the channel closes with {served.problem}")
        return f"{head}\n  message  {_one_line(served.message)}" if served.message else head

    def _attempt(self, attempt: Attempt) -> Iterator[str]:
        yield f"  command    {_cut(shlex.join(attempt.argv), self._everything)}"
        for filled in attempt.filled:
            if filled.where.startswith("spawn"):
                yield self._filled(filled)
        if not attempt.argv[0].startswith("/") and attempt.program:
            yield f"  program    {shlex.quote(attempt.program)}"
        for index, line in enumerate(self._environ(attempt.environ)):
            yield f"  {'environ' if not index else '':<9}  {line}"
        for filled in attempt.filled:
            if filled.where.startswith("environ"):
                yield self._filled(filled)
        own = " (the bridge's own)" if attempt.own_directory else ""
        yield f"  directory  {shlex.quote(attempt.directory)}{own}"
        for filled in attempt.filled:
            if filled.where == "directory":
                yield self._filled(filled)
        yield f"  stays      {_stays(attempt.timeout)}"
        yield f"  shared     {_shared(attempt.depends_on)}"

    def _filled(self, filled: Filled) -> str:
        absent = f"; the open has no {', '.join(filled.absent)}: nothing" if filled.absent else ""
        text = f"{filled.where}: {_value(filled.template)} -> {_value(filled.text)}{absent}"
        return self._paint("yellow" if filled.absent else "dim", f"{_INDENT}   {text}")

    def _environ(self, changes: Sequence[Change]) -> Iterator[str]:
        inherited = 0
        for change in changes:
            if change.kind == "inherited" and not self._everything:
                inherited += 1
                continue
            mark = _MARKS.get(change.kind, " ")
            if change.value is UNSET:
                text = f"{mark} {change.name}"
            else:
                text = f"{mark} {change.name}={_cut(shlex.quote(str(change.value)), self._everything)}"
            if change.was is not UNSET and change.kind == "changed":
                text += f"  (was {_cut(shlex.quote(str(change.was)), self._everything)})"
            yield self._paint(_STYLES[change.kind], text) if change.kind in _STYLES else text
        if inherited:
            yield self._paint("dim", f"  and {inherited} as the bridge has them (--all shows them)")

    def _unable(self, attempt: Attempt) -> Iterator[str]:
        if attempt.problem:
            yield f"  {attempt.rule}: cannot be made a command"
            return
        yield f"  {self._paint('bold', attempt.rule)}  {_cut(shlex.join(attempt.argv), self._everything)}"
        yield f"    cannot be started: {attempt.cannot_start}"
        if attempt.detail:
            yield f"    {self._paint('yellow', _one_line(attempt.detail))}"

    # When it fails

    def _failure(self, told: Explanation, serving: Attempt) -> Iterator[str]:
        for attempt in told.attempts:
            if attempt.position < serving.position:
                yield from self._unable(attempt)
        bridge = self._bridge
        yield f"  if it fails to start (no init within {bridge.limits.handshake_seconds:g} s, exits, ...)"
        yield "             with a problem in its init: the channel closes with that"
        yield f"             else: {_next(serving.if_it_fails)}"
        seen = [attempt for attempt in told.attempts if attempt.position > serving.position]
        for attempt in seen[:NEXT]:
            if attempt.problem:
                yield f"             then: {attempt.problem}: the channel closes with protocol-error"
            else:
                able = f" (cannot be started: {attempt.cannot_start})" if attempt.cannot_start else ""
                yield f"             then {attempt.rule}{able}, else: {_next(attempt.if_it_fails)}"


def left_out(catalog: Catalog, bridge: Bridge, paint: Paint, *, everything: bool = False) -> Iterator[str]:
    """The lines about what is not among the rules though there is a file: a rule may be missing for that."""
    defects = [str(defect) for defect in catalog.defects]
    hidden = [f"{each.path}: {each.reason}" for each in catalog.hidden if not each.reason.startswith("unusable: ")]
    for title, lines in (("Left out for a mistake", defects), ("Packages not in use", hidden)):
        if not lines:
            continue
        yield paint("yellow", f"{title} (see spanbridge {'check' if lines is defects else 'list'})")
        shown = lines if everything else lines[:LEFT_OUT]
        for line in shown:
            yield f"  {_home(_one_line(line), bridge)}"
        if len(lines) > len(shown):
            yield f"  and {len(lines) - len(shown)} more"
        yield ""


def reuse(told: Reuse, paint: Paint) -> Iterator[str]:
    """The lines about whether two opens share a helper."""
    head = f"Opens {told.first} and {told.second}: "
    if told.same:
        yield head + paint("green", "the same helper")
        return
    yield head + paint("yellow", "not the same helper") + f": {told.why}"
    for each in told.differences:
        yield f"  {each.where:<10}  {told.first}: {_or_own(each.first)}"
        yield f"  {'':<10}  {told.second}: {_or_own(each.second)}"
    if told.variables:
        yield f"  they differ in {', '.join(told.variables)}, which the rule fills in"


def _serving(told: Explanation) -> Attempt | None:
    if told.served.by != RULE:
        return None
    return next(attempt for attempt in told.attempts if attempt.rule == told.served.rule)


def _given(message: dict[str, Any]) -> dict[str, Any]:
    """Without what is the same in every open."""
    return {
        name: value for name, value in message.items() if (name, value) not in (("command", "open"), ("channel", "1"))
    }


def _near(look: Look) -> bool:
    return len({miss.member for miss in look.misses} & look.match.keys()) < len(look.match) or not look.match


def _agreeing(look: Look) -> int:
    """How nearly a rule matches: what agrees, less what does not."""
    missed = len(look.misses)
    return len(look.match) - 2 * missed


def _next(failure: Failure) -> str:
    if failure.problem:
        return f"the channel closes with {failure.problem}"
    if failure.next:
        return f"on to {failure.next}"
    return f"the bridge itself serves {failure.internal}"


def _stays(timeout: float | None) -> str:
    if timeout is None:
        return "to the end of the session (no timeout)"
    return f"until it has had no channel for {timeout:g} s (timeout)"


def _shared(names: list[str]) -> str:
    if not names:
        return "by all opens that this rule gets"
    return f"by opens that have the same {', '.join(names)}"


def _or_own(text: object) -> str:
    return "the bridge's own" if text is UNSET else _value(text)


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _object(value: object) -> str:
    return _one_line(_value(value))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _cut(text: str, everything: bool) -> str:
    text = _one_line(text)
    return text if everything or len(text) <= SHOWN else f"{text[: SHOWN - 3]}... ({len(text)} characters)"


def _file(source: str, bridge: Bridge) -> str:
    return _home(source, bridge)


def _home(text: str, bridge: Bridge) -> str:
    home = bridge.environ.get("HOME", "")
    return text.replace(f"{home}{os.sep}", "~/") if len(home) > 1 else text
