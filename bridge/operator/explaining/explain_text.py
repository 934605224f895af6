"""An explanation as text for people."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec import UNSET

from spanbridge.manifests.model import Catalog
from spanbridge.protocol.problems import PROTOCOL_ERROR

from ...helpers.privileges import REQUIRE
from ..printable import printable
from ..terminal import Paint
from .explanation import (
    CONNECTION,
    EMPTY,
    INTERNAL,
    NOBODY,
    PRIVILEGED,
    RULE,
    Attempt,
    Bridge,
    Change,
    Explanation,
    Failure,
    Look,
    Miss,
)
from .reuse import Reuse

RUN: Final = 6  # rules in a row that do not match and are all shown
NEAR: Final = 4  # of a longer row, how many that nearly match
LEFT_OUT: Final = 6  # defects, and packages not in use, that are named
SHOWN: Final = 300  # characters of a value
NEXT: Final = 5  # rules behind the winner that are named

WIDTH: Final = 40  # of the column of rules

_QUOTED: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|(?<!\w)'[^']*')""")
_INDENT: Final = " " * 14
_LIST: Final = " " * 12
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
        yield self._paint("bold", f"Open{f' {number}' if count > 1 else ''}  ") + _value(_given(told.open))
        yield from self._host(told)
        yield from self._superuser(told)
        yield ""
        yield from self._rules(told)
        yield from self._verdict(told)

    # What comes before the rules

    def _host(self, told: Explanation) -> Iterator[str]:
        refused = not told.rules and told.served.problem == PROTOCOL_ERROR
        if "host" not in told.open or refused:
            return
        host = _value(told.open["host"])
        if told.forwarded is not told.open:
            added = {name: value for name, value in told.forwarded.items() if told.open.get(name) != value}
            yield f"  host        {host} becomes {_value(added)}"
        if "host" in told.matched:
            yield "  host        another one: only rules whose match names host are asked, then ssh connects to it"
        else:
            yield f"  host        {_value(told.forwarded['host'])} is this host: it is matched without"

    def _superuser(self, told: Explanation) -> Iterator[str]:
        wanted = told.open.get("superuser")
        if wanted is None or wanted is False:
            return
        if "host" in told.matched:
            yield f"  superuser   {_value(wanted)} goes to the other host as it is"
            return
        if told.privileged is None:
            if told.served.problem != PROTOCOL_ERROR or told.rules:
                yield "  superuser   this bridge runs as root: nothing to gain, it is as if the open had not asked"
            return
        there = ", ".join(told.privileged.offered) or "none"
        if told.served.by == PRIVILEGED:
            yield f"  superuser   {_value(wanted)}, and a privileged bridge runs; offered: {there}"
        elif told.privileged.wanted == REQUIRE:
            yield f"  superuser   {_value(wanted)}, and no privileged bridge runs; offered: {there}"
        else:
            yield f"  superuser   {_value(wanted)}, and no privileged bridge runs: as if it had not asked"
            yield f"{_INDENT}while one runs it has the channel; offered: {there}"
        for rule, why in told.privileged.left_out.items():
            yield f"{_INDENT}not offered: {rule}: {why}"

    # The rules

    def _rules(self, told: Explanation) -> Iterator[str]:
        if not told.rules:
            asked = told.served.by not in (PRIVILEGED, NOBODY) or not self._bridge.catalog.rules
            yield "There are no rules." if asked else "The rules are not asked."
            yield ""
            return
        yield self._paint("bold", "Rules, in the order in which they are tried")
        for matches, group in groupby(told.rules, lambda look: look.matches):
            run = list(group)
            yield from self._matching(run, told) if matches else self._missing(run, told)
        yield ""

    def _matching(self, run: list[Look], told: Explanation) -> Iterator[str]:
        shown = run if self._everything else run[:NEXT]
        width = _width(told)
        attempts = {attempt.position: attempt for attempt in told.attempts}
        refusing = next((look for look in told.rules if look.matches and look.refuses is not None), None)
        serving = _serving(told)
        for look in shown:
            attempt = attempts.get(look.position)
            mark, style, why = "WINS", "green", ""
            if attempt is None or attempt is not serving:
                mark, style, why = _fate(look, attempt, told, refusing)
            yield self._head(look, width, mark, style)
            yield f"{_LIST}match {_value(look.match)}"
            for reason in (look.behind, why):
                if reason:
                    yield f"{_LIST}{self._paint(style, printable(reason))}"
            if attempt is not None and attempt.detail:
                yield f"{_LIST}{self._paint('yellow', printable(attempt.detail))}"
        yield from self._more(len(run) - len(shown), "more match")

    def _missing(self, run: list[Look], told: Explanation) -> Iterator[str]:
        shown = run
        if not self._everything and len(run) > RUN:
            near = sorted((look for look in run if _near(look)), key=lambda look: (-_agreeing(look), look.position))
            shown = sorted(near[:NEAR], key=lambda look: look.position)
        width = _width(told)
        for look in shown:
            yield self._head(look, width, "no", "red")
            misses = sorted(look.misses, key=lambda miss: miss.member != "host")  # what rules out a rule altogether
            misses = misses if _near(look) or self._everything else misses[:1]
            left = len(look.misses) - len(misses)
            for miss in misses:
                rest = self._paint("dim", f"  (and {left} more)") if left else ""
                yield f"{_LIST}{_missed(miss)}{rest}"
                if miss.hint:
                    yield f"{_LIST}  {self._paint('yellow', printable(miss.hint))}"
        yield from self._more(len(run) - len(shown), "more do not match" if shown else "do not match")

    def _more(self, count: int, what: str) -> Iterator[str]:
        if count:
            yield _LIST + self._paint("dim", f"{count} {what} (--all shows them)")

    def _head(self, look: Look, width: tuple[int, int], mark: str, style: str) -> str:
        number = f"{look.position:>{width[0]}}"
        name = f"{look.rule:<{width[1]}}"
        priority = f"  priority {look.priority:g}" if look.priority != 1 else ""
        shown = self._paint("bold", name) if look.matches else name
        return f"  {number}  {self._paint(style, f'{mark:<5}')}  {shown}  {_home(look.source, self._bridge)}{priority}"

    # Who serves it

    def _verdict(self, told: Explanation) -> Iterator[str]:
        served = told.served
        serving = _serving(told)
        if serving is not None:
            rest = "" if serving is told.attempts[0] else f", since {told.attempts[0].rule} cannot be started"
            yield self._paint("green", f"Served by {served.rule}") + rest
            yield from self._attempt(serving)
            yield from self._failure(told, serving)
        elif served.by == INTERNAL:
            rest = ", since no rule that matches can be started" if told.attempts else ""
            yield self._paint("green", f"Served by the bridge itself: payload {served.payload}") + rest
        elif served.far is not None:
            rest = ", since no rule that matches can be started" if told.attempts else ""
            host = _value(told.matched["host"])
            yield self._paint("green", f"Served by a bridge on {host}, over ssh") + rest + _whose(served.far.shared)
            yield f"  starts      {' '.join(map(quoted, served.far.argv))}"
            for index, line in enumerate(served.far.asks):
                yield f"{'  asks        ' if not index else _INDENT}{line}"
        elif served.by == PRIVILEGED:
            yield self._paint("green", "Served by the privileged bridge that runs") + ", which has rules of its own"
        else:
            yield self._paint("red", f"Served by nobody: the channel closes with {printable(served.problem) or EMPTY}")
            yield f"  {printable(served.message)}"

    def _attempt(self, attempt: Attempt) -> Iterator[str]:
        yield f"  command     {_cut(' '.join(map(quoted, attempt.argv)), self._everything)}"
        yield from self._filled(attempt, "spawn")
        if "/" not in attempt.argv[0]:
            yield f"  program     {quoted(attempt.program)}"
        for index, line in enumerate(self._environ(attempt.environ)):
            yield f"  {'environ' if not index else '':<10}  {line}"
        yield from self._filled(attempt, "environ")
        yield f"  directory   {quoted(attempt.directory)}{self._whose_directory(attempt)}"
        yield from self._filled(attempt, "directory")
        yield f"  stays       {_stays(attempt.timeout)}"
        yield f"  shared      {_shared(attempt.depends_on)}"

    def _whose_directory(self, attempt: Attempt) -> str:
        if not attempt.own_directory:
            return ""
        return " (this shell's: a bridge has its own, see --pid)" if self._bridge.pid is None else " (the bridge's own)"

    def _filled(self, attempt: Attempt, member: str) -> Iterator[str]:
        for filled in attempt.filled:
            if filled.where.startswith(member):
                absent = f"  the open has no {', '.join(filled.absent)}" if filled.absent else ""
                text = f"{filled.where} {_value(filled.template)} is {_value(filled.text)}"
                yield f"{_INDENT}{self._paint('dim', text)}{self._paint('yellow', absent)}"

    def _environ(self, changes: Sequence[Change]) -> Iterator[str]:
        inherited = 0
        for change in changes:
            if change.kind == "inherited" and not self._everything:
                inherited += 1
                continue
            mark = _MARKS.get(change.kind, " ")
            text = f"{mark} {change.name}"
            if change.value is not UNSET:
                text += f"={_cut(quoted(str(change.value)), self._everything)}"
            yield self._paint(_STYLES[change.kind], text) if change.kind in _STYLES else text
            if change.kind == "changed":
                was = f"    was {_cut(quoted(str(change.was)), self._everything)}"
                yield self._paint("dim", was)
        if inherited:
            yield self._paint("dim", f"  and {inherited} more as the bridge has them (--all shows them)")

    def _failure(self, told: Explanation, serving: Attempt) -> Iterator[str]:
        seconds = self._bridge.limits.handshake_seconds
        yield f"  on failure  if it cannot be started, ends before its init, or sends none within {seconds:g} s:"
        yield f"{_INDENT}where its init has a problem the channel closes with that; else"
        for attempt in told.attempts:
            if attempt.position < serving.position:
                continue
            if attempt.problem:
                yield f"{_INDENT}the channel closes with protocol-error"
                return
            yield f"{_INDENT}{_next(attempt.if_it_fails)}"
            if attempt.position - serving.position > NEXT and not self._everything:
                return


def _width(told: Explanation) -> tuple[int, int]:
    """Of the columns of positions and names."""
    return len(str(len(told.rules))), min(max(len(each.rule) for each in told.rules), WIDTH)


def _fate(look: Look, attempt: Attempt | None, told: Explanation, refusing: Look | None) -> tuple[str, str, str]:
    """Mark, style, and a word on what becomes of a rule that matches, and does not serve it. `refusing`: the first that
    refuses what it matches."""
    if refusing is look:
        return "ends", "red", f"refuses what it matches: the channel closes with {look.refuses or EMPTY}"
    if refusing is not None and refusing.position < look.position:
        return "never", "dim", f"not tried: {refusing.rule} refuses what it matches"
    if attempt is None and told.attempts[-1].if_it_fails.next:  # one of very many
        return "next", "blue", ""
    if attempt is None:
        last = told.attempts[-1]
        why = "whose problem closes the channel" if last.if_it_fails.problem else "where the channel closes"
        return "never", "dim", f"not tried: nothing comes after {last.rule}, {why}"
    if attempt.problem:
        return "FAILS", "red", attempt.problem
    if attempt.cannot_start:
        return "FAILS", "red", f"cannot be started: {attempt.cannot_start}"
    return "next", "blue", ""


def _missed(miss: Miss) -> str:
    if miss.wanted is UNSET:
        return f"host: {_value(miss.got)} is another host, and the match does not name host"
    wanted = "any value" if miss.wanted is None else _value(miss.wanted)
    if miss.member == "host" and miss.got is UNSET:
        return f"host: wanted {wanted}, and this open is for this host"
    return f"{printable(miss.member)}: wanted {wanted}, got {'nothing' if miss.got is UNSET else _value(miss.got)}"


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
            yield f"  {_home(line, bridge)}"
        if len(lines) > len(shown):
            yield f"  and {len(lines) - len(shown)} more"
        yield ""


def sharing(told: Reuse, paint: Paint) -> Iterator[str]:
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
    if failure.next == CONNECTION:
        return "on to a connection over ssh, of the bridge's own"
    if failure.next:
        return f"on to {failure.next}; if that fails too:"
    return f"the bridge itself serves payload {failure.internal}"


def _whose(shared: bool) -> str:
    return ", shared by all opens with this host and user" if shared else ", of its own (session: private)"


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
    raw: list[str] = []

    def stand_in(number: Any) -> str:
        """What JSON has and Python has not, such as a number beyond any float, is kept as it stands."""
        raw.append(bytes(number).decode())
        return f"\0raw {len(raw)}\0"

    text = json.dumps(value, ensure_ascii=False, default=stand_in)
    for count, number in enumerate(raw, 1):
        text = text.replace(json.dumps(f"\0raw {count}\0"), number, 1)
    text = printable(text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def quoted(text: str) -> str:
    """As one word of a shell; with `$'...'` where it would not stay on its line, or is no text."""
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(char: str) -> str:
    if char.isprintable():
        return f"\\{char}" if char in "\\'" else char
    return "\\n" if char == "\n" else "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))


def _cut(text: str, everything: bool) -> str:
    return text if everything or len(text) <= SHOWN else f"{text[: SHOWN - 3]}... ({len(text)} characters)"


def _home(text: str, bridge: Bridge) -> str:
    """With ~ for the user's home, where a shell would take it for that: not in quotes, and not within a path."""
    text, home = printable(text), bridge.environ.get("HOME", "")
    if len(home) <= 1:
        return text
    place = re.compile(rf"(?<![^\s(]){re.escape(home)}/")
    parts = _QUOTED.split(text)  # what is in quotes is every other one
    return "".join(part if index % 2 else place.sub("~/", part) for index, part in enumerate(parts))
