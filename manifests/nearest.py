"""Of an open that no rule takes: what was nearly for it. Asked for only where an open is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from .match import matches, mismatches
from .model import Catalog, Rule

RULES: Final = 256
"""As many are looked at: whoever opens in vain again and again must not cost much."""

_CLOSE: Final = 0.75  # how alike two payloads are for the one to be taken for the other


def nearest(rules: Iterable[Rule], message: Mapping[str, Any]) -> tuple[Rule, list[str]] | None:
    """The rule of which most agrees, and the members that do not; None if nothing of any does. The first of equals."""
    best: tuple[int, Rule, list[str]] | None = None
    for rule, _ in zip(rules, range(RULES), strict=False):
        missed = list(dict.fromkeys(each.member for each in mismatches(rule, message)))
        if not rule.match or not missed or not rule.match.keys() - missed:
            continue
        agrees = len(rule.match) - 2 * len(missed)
        if best is None or agrees > best[0]:
            best = agrees, rule, missed
    return None if best is None else best[1:]


def near_misses(catalog: Catalog, own: Iterable[str], message: Mapping[str, Any]) -> Iterator[str]:
    """In words, for who wonders why nobody serves an open: what was left out, the closest rule, a payload of nearly
    that name. `own`: the payloads that the bridge serves itself. No value of the open is told."""
    left_out = [defect for rule, defect in catalog.left_out if matches(rule, message)]
    left_out = left_out or [defect for defect in catalog.defects if defect.loses]
    if left_out:
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        yield f"left out for a mistake: {left_out[0]}{more}"
    near = nearest(catalog.rules, message)
    if near is not None:
        yield f"the closest rule is {near[0].name}, all of which matches but {', '.join(near[1])}"
    payload = message.get("payload")
    if isinstance(payload, str) and len(payload) < 100:
        known = {text for rule in catalog.rules[:RULES] if isinstance(text := (rule.match or {}).get("payload"), str)}
        for each in get_close_matches(payload, sorted(known.union(own) - {payload}), n=1, cutoff=_CLOSE):
            yield f"there is a payload {each!r}"
