"""Times as they are told: ISO 8601, UTC."""

import datetime
import time
from typing import Final

_FIRST: Final = -62_135_596_800.0
LAST: Final = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970: no later one can be told."""


def iso(seconds: float | None = None) -> str:
    """Seconds since 1970, now if there are none, like 2026-01-31T12:00:00.000Z."""
    moment = datetime.datetime.fromtimestamp(time.time() if seconds is None else seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def seconds_of(value: object) -> float:
    """Of a number, which is seconds since 1970, or ISO 8601. Raises ValueError for all but the years 1 to 9999."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not _FIRST <= value <= LAST:  # nor what is no number
            raise ValueError(f"{value!r}: expected seconds since 1970, of the years 1 to 9999")
        return float(value)
    if isinstance(value, str):
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value[:80]!r}: expected seconds since 1970, or a time in ISO 8601") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    raise ValueError(f"{value!r}: expected seconds since 1970, or a time in ISO 8601")
