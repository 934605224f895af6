"""Times as they are told: ISO 8601, UTC."""

import datetime
import time


def iso(seconds: float | None = None) -> str:
    """Seconds since 1970, now if there are none, like 2026-01-31T12:00:00.000Z."""
    moment = datetime.datetime.fromtimestamp(time.time() if seconds is None else seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def seconds_of(value: object) -> float:
    """Of a number, which is seconds since 1970, or ISO 8601. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        moment = datetime.datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    raise ValueError(f"{value!r}: expected seconds since 1970, or a time in ISO 8601")
