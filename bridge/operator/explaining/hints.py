"""What may have been meant where a rule and an open nearly agree."""

from difflib import get_close_matches
from typing import Any

import msgspec

from spanbridge.manifests.match import Mismatch
from spanbridge.manifests.value import compile_value
from spanbridge.manifests.wildcard import is_wildcard
from spanbridge.protocol.control import written

_OF_EVERY_OPEN = frozenset({"command", "channel", "payload", "host", "superuser", "group"})
_CLOSE = 0.8  # how alike a name must be to one of these to be taken for it
_NAMES = 200  # members of an open that are compared with a name, at most


def hint(found: Mismatch, message: dict[str, Any]) -> str:
    """A word on why a member does not agree though it looks as if; empty where there is nothing to say."""
    if found.wanted is msgspec.UNSET:
        return ""
    if found.got is msgspec.UNSET:
        return _absent(found.member, message)
    if isinstance(found.wanted, str):
        return _text(found.member, found.wanted, found.got)
    return _other(found.wanted, found.got)


def _absent(member: str, message: dict[str, Any]) -> str:
    names = list(message)[:_NAMES]
    near = [name for name in names if _folded(name) == _folded(member)]
    near += get_close_matches(member, names, n=1, cutoff=_CLOSE)
    near += get_close_matches(member, [name for name in names if name not in _OF_EVERY_OPEN], n=1)
    return f"the open has {_json(near[0])}" if near else ""


def _text(member: str, wanted: str, got: Any) -> str:
    if not isinstance(got, str):
        if got is None or isinstance(got, dict | list):
            return ""
        text = _json(got)
        fits = compile_value(wanted)
        if fits is not None and fits(text):
            return (
                f"the rule wants text, and the open has {_kind(got)}; as an argument, text is {member}='{_json(text)}'"
            )
        return "a wildcard takes text alone" if is_wildcard(wanted) else ""
    if wanted.strip() != wanted or got.strip() != got:
        fits = compile_value(wanted.strip())
        if fits is not None and fits(got.strip()):
            return "they differ in the space at an end"
    fits = compile_value(wanted.casefold())
    if fits is not None and fits(got.casefold()):
        return "upper and lower case differ"
    if not is_wildcard(wanted) and got.startswith(wanted):
        return f"the whole value is compared: {_json(wanted + '*')} would take it"
    return ""


def _other(wanted: Any, got: Any) -> str:
    if isinstance(got, str) and not isinstance(wanted, dict | list) and _json(wanted) == got:
        return f"the rule wants {_kind(wanted)}, and the open has text"
    if isinstance(wanted, bool) is not isinstance(got, bool) and wanted == got and not isinstance(wanted, dict | list):
        return "a number is neither true nor false"
    if isinstance(wanted, list) and len(wanted) == 1 and wanted[0] == got:
        return "a list in a match is one value, not a choice of values"
    if isinstance(wanted, dict | list) and type(got) is type(wanted) and ("*" in _json(wanted) or "?" in _json(wanted)):
        return "there are no wildcards within lists and objects"
    return ""


def _kind(value: Any) -> str:
    return _json(value) if isinstance(value, bool) else "a number"


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-")


def _json(value: Any) -> str:
    return written({"": value})[4:-1].decode()
