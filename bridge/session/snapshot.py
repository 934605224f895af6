"""What a running bridge tells of itself (`spanbridge status`)."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from ..helpers.helper import Helper
from ..helpers.pool import Pool
from ..wire.context import Context
from ..wire.front import Front
from .sinks import WAITING, Sink

_CHARACTERS: Final = 500  # shown of an argument or a variable, which may be a megabyte


class Table(Protocol):
    """The table of channels, as far as it is told of."""

    @property
    def host(self) -> str | None: ...
    @property
    def routes(self) -> Mapping[bytes, Sink]: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def helpers(self) -> Iterable[Helper]: ...


def snapshot(context: Context, front: Front, channels: Table, began: float, from_front: int) -> bytes:
    """A JSON object. Times are seconds, sizes are bytes. `began` is the loop time of the start, `from_front` what the
    front end has sent."""
    now, limits, pool = context.loop.time(), context.limits, channels.pool
    kinds = Counter(sink.kind for sink in channels.routes.values())
    told: dict[str, Any] = {
        "pid": os.getpid(),
        "seconds": round(now - began, 3),
        "host": channels.host,
        "channels": {
            "open": kinds.total(),
            "waiting": kinds[WAITING],
            "internal": {kind: count for kind, count in kinds.items() if kind not in (Helper.kind, WAITING)},
            "limit": limits.channels,
        },
        "front-end": {
            "bytes-in": from_front,
            "bytes-out": front.link.written,
            "queued": front.link.queued,
            "read": not front.link.paused,
            "takes": not front.link.blocked,
        },
        "helpers": [_helper(helper, now, limits.helper_queue_bytes) for helper in channels.helpers],
        "rules": pool.told(),
        "limits-hit": dict(context.log.limits_hit),
    }
    return msgspec.json.encode(_printable(told))


def _helper(helper: Helper, now: float, queue_limit: int) -> dict[str, Any]:
    unanswered, seconds = helper.roster.unanswered()
    return {
        "rule": helper.name,
        "source": helper.rule.source,
        "privileged": helper.rule.privileged,
        "pid": helper.pid or None,
        "state": helper.state,
        "command": [_short(argument) for argument in helper.launch.key[1].argv],
        "variables": {name: _short(value) for name, value in helper.launch.variables.items()},
        "seconds": round(now - helper.made_at, 3),
        "channels": helper.roster.channels,
        "unanswered": unanswered,
        "unanswered-seconds": round(seconds, 3),
        "bytes-in": helper.dialogue.heard,
        "bytes-out": helper.link.written if helper.link else 0,
        "queued": helper.queued,
        "queue-limit": queue_limit,
    }


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}..."


def _printable(value: Any) -> Any:
    """The same without bytes that are no text, which paths and arguments may hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value
