"""Who serves an open: a decision, no I/O and no process (docs/protocol.md, "Who serves an open")."""

from collections.abc import Iterator, Sequence
from typing import Any

from manifests.match import RuleIndex
from manifests.model import Rule
from protocol.problems import PROTOCOL_ERROR, Problem


class Router:
    """The rules in force."""

    __slots__ = ("_index",)

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._index = RuleIndex(rules)

    def candidates(self, message: dict[str, Any]) -> Iterator[Rule]:
        """The rules that match a normalised open, in the order in which they are to be tried."""
        return self._index.candidates(message)


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
