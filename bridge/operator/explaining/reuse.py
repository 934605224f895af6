"""Whether two opens share a helper: the bridge looks for a running one by its key."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from spanbridge.manifests.template import Expansion

from .explanation import HOST, INTERNAL, NOBODY, PRIVILEGED, RULE, Explained, Explanation


class Reuse(msgspec.Struct, frozen=True):
    """Whether two opens share a helper."""

    first: int
    """Number of the open, from 1."""
    second: int
    same: bool
    why: str
    """What makes the difference, or why there is none to share."""
    differences: list["Difference"]
    variables: list[str]
    """The members of the opens that make it."""


class Difference(msgspec.Struct, frozen=True):
    """A part of two expansions that is not the same."""

    where: str
    first: str | UnsetType
    second: str | UnsetType


def compare(first: int, second: int, one: Explained, other: Explained) -> Reuse:
    """Whether the helper that has the first open would have the second too."""
    (told, key, values), (other_told, other_key, other_values) = one, other
    if key is None or other_key is None:
        return Reuse(first, second, False, _no_helper(first, second, told, other_told), [], [])
    if key == other_key:
        return Reuse(first, second, True, "", [], [])
    if key[0] != other_key[0]:
        why = f"{told.served.rule} and {other_told.served.rule} are two rules"
        return Reuse(first, second, False, why, [], [])
    differences = list(_differences(key[1], other_key[1]))
    names = [name for name, value in values.items() if value != other_values[name]]
    return Reuse(first, second, False, "they expand differently", differences, names)


def _no_helper(first: int, second: int, told: Explanation, other: Explanation) -> str:
    if told.served.by == other.served.by == HOST:
        return "both go to their hosts over ssh, those for one host over one connection"
    if told.served.by == other.served.by == PRIVILEGED:
        return "both go to the one privileged helper that runs"
    words = {
        INTERNAL: "is served by the bridge itself",
        PRIVILEGED: "goes to the privileged helper",
        HOST: "goes to a bridge on its host",
        NOBODY: "is served by nobody",
        RULE: "goes to a helper of its own",
    }
    return f"open {first} {words[told.served.by]}, open {second} {words[other.served.by]}"


def _differences(one: Expansion, other: Expansion) -> Iterator[Difference]:
    for index, (text, other_text) in enumerate(zip(one.argv, other.argv, strict=True)):
        if text != other_text:
            yield Difference(f"spawn[{index}]", text, other_text)
    for index, (entry, other_entry) in enumerate(zip(one.environ, other.environ, strict=True)):
        if entry != other_entry:
            yield Difference(f"environ[{index}]", "=".join(entry), "=".join(other_entry))
    if one.directory != other.directory:
        yield Difference("directory", _or_unset(one.directory), _or_unset(other.directory))


def _or_unset(text: str | None) -> str | UnsetType:
    return UNSET if text is None else text
