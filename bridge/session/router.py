"""What is decided of an open beside the rules: no I/O and no process (docs/protocol.md, "Who serves an open")."""

from collections.abc import Iterable
from typing import Any

from spanbridge.manifests.model import Catalog, Rule
from spanbridge.protocol.problems import NO_HOST, NOT_SUPPORTED, PROTOCOL_ERROR, Problem, shown

from ..payloads.base import PAYLOADS


def normalise(message: dict[str, Any], own_host: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An open as it is matched, and as it is forwarded; the same object as `message` where nothing changes.

    It is matched without a `host` that is our own. `host: name+key+value` becomes `host: name` and, unless there is
    such a member, `host-key: value` in both. Raises Problem (`protocol-error`) for a host that is no name.
    """
    if "host" not in message:
        return message, message
    host = message["host"]
    if not isinstance(host, str) or not host:
        raise Problem(PROTOCOL_ERROR, f'"host" of the open: expected a name, found {shown(host)}')
    name, *extra = host.split("+", 2)
    if len(extra) == 2:
        key, value = extra
        if not name or not key:
            raise Problem(PROTOCOL_ERROR, f'"host" of the open: expected name+key+value, found {shown(name)}+...')
        message = {f"host-{key}": value, **message, "host": name}
    if message["host"] == own_host:
        return {key: value for key, value in message.items() if key != "host"}, message
    return message, message


def refusal(rule: Rule) -> Problem | None:
    """What an open is closed with that a rule without a command matches; None: it has one."""
    if rule.spawn or rule.problem is None:
        return None
    return Problem(rule.problem, f"{rule.name} refuses what it matches")


def after_failure(rule: Rule, problem: Problem) -> Problem | None:
    """What an open is closed with when the helper of `rule` failed to start without a word of its own; None: it goes on
    to the next rule."""
    return None if rule.problem is None else Problem(rule.problem, problem.message)


def own_payload(message: dict[str, Any]) -> Any:
    """What the bridge is to serve itself where no rule will; None for another host, which is not its own affair."""
    return None if "host" in message else message.get("payload")


def nobody(message: dict[str, Any], failures: Iterable[str], catalog: Catalog) -> Problem:
    """What an open is closed with that no rule will have and that the bridge does not serve itself.

    `failures`: what became of the rules that matched. `catalog`: where what nearly matched, or would have, is found.
    """
    from spanbridge.manifests.nearest import near_misses

    tried = "; ".join(failures)
    why = tried or "; ".join(("no rule matches", *near_misses(catalog, PAYLOADS, message)))
    if "host" in message:
        return Problem(NOT_SUPPORTED if tried else NO_HOST, f"nobody serves host {shown(message['host'])}: {why}")
    if "payload" not in message:
        return Problem(NOT_SUPPORTED, f"nobody serves an open without a payload: {why}")
    return Problem(
        NOT_SUPPORTED, f"nobody serves payload {shown(message['payload'])}, nor is it an internal one: {why}"
    )
