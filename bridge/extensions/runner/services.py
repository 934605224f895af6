"""`services`, by attribute and by key, under Python's names and the document's."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .calls import Calls
from .database import Database

_ALIASES: Final = {
    "auditLog": "audit_log",
    "sendPushNotification": "send_push_notification",
    "alertEngine": "alert_engine",
    "metricsHistory": "metrics_history",
}


class AuditLog:
    """Called, it writes an entry, which is on disk when its number is returned."""

    def __init__(self, call: Calls) -> None:
        self._call = call

    def __call__(self, action: str, kind: str, id: Any, details: Any = None) -> int:  # noqa: A002 - as it is called
        return int(self._call("audit.write", action, kind, str(id), details))

    def list(self, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """The entries of this extension behind the number `after`."""
        return list(self._call("audit.list", after, limit))


class Webhooks:
    def __init__(self, call: Calls) -> None:
        self._call = call

    def fire(self, event: str, data: Any = None) -> None:
        """Tell every endpoint that the user has set up for it; on disk when it returns."""
        self._call("webhooks.fire", event, data)


class MetricsHistory:
    def __init__(self, call: Calls) -> None:
        self._call = call

    def record(self, metric: str, value: float, time: Any = None) -> None:
        """`time`: seconds since 1970, or ISO 8601; now, if it is left out."""
        self._call("metrics.record", metric, value, _moment(time))

    def query(self, metric: str, start: Any, end: Any, step: float, fn: str = "avg") -> list[list[Any]]:
        """`[[time, value or None], ...]`, one for each step of so many seconds, `end` excluded."""
        return list(self._call("metrics.query", metric, _moment(start), _moment(end), step, fn))


class AlertEngine:
    def __init__(self, call: Calls) -> None:
        self._call = call

    def define(
        self,
        name: str,
        metric: str,
        op: str,
        threshold: float,
        for_seconds: float = 0,
        keep_seconds: float = 0,
        severity: str = "warning",
    ) -> None:
        """An alert on the last value of a metric. Defining it again changes it."""
        self._call("alerts.define", name, metric, op, threshold, for_seconds, keep_seconds, severity)

    def evaluate(self) -> list[dict[str, Any]]:
        """Look at all alerts now; the states."""
        return list(self._call("alerts.evaluate"))

    def list(self) -> list[dict[str, Any]]:
        return list(self._call("alerts.list"))

    def silence(self, name: str, seconds: float) -> None:
        """Its changes are events and nothing more for so long."""
        self._call("alerts.silence", name, seconds)

    def remove(self, name: str) -> None:
        self._call("alerts.remove", name)


class Services(Mapping[str, Any]):
    """What `init` gets beside the router."""

    def __init__(self, call: Calls, files: str) -> None:
        self.db: Final = Database(call, files)
        self.files: Final = files
        self.audit_log: Final = AuditLog(call)
        self.webhooks: Final = Webhooks(call)
        self.metrics_history: Final = MetricsHistory(call)
        self.alert_engine: Final = AlertEngine(call)
        self._call = call

    def broadcast(self, topic: str, data: Any = None) -> None:
        """An event for every page that listens for it."""
        self._call("broadcast", topic, data)

    def send_push_notification(
        self, notification: Mapping[str, str], ttl: int = 86_400, urgency: str = "normal"
    ) -> int:
        """To all browsers that the user has subscribed; to how many. On disk when it returns."""
        return int(self._call("push.send", dict(notification), ttl, urgency))

    def __getattr__(self, name: str) -> Any:
        if name in _ALIASES:
            return getattr(self, _ALIASES[name])
        raise AttributeError(f"there is no service {name!r}")

    def __getitem__(self, name: str) -> Any:
        if name not in _NAMES and name not in _ALIASES:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


_NAMES: Final = (
    "db",
    "broadcast",
    "audit_log",
    "webhooks",
    "metrics_history",
    "alert_engine",
    "send_push_notification",
    "files",
)


def _moment(value: Any) -> Any:
    return value.timestamp() if hasattr(value, "timestamp") else value
