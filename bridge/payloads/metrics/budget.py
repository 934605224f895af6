"""How much of a CPU sampling may take: times in, times out, no clock.

Half of the session's share is for whoever comes first; the other half is dealt out evenly, so that one channel with a
short interval leaves something for the others. What is not used is saved up for a second.
"""

from typing import Final

SHARE: Final = 0.1
"""Seconds of CPU time for each second."""

_SAVED_SECONDS: Final = 1.0


class _Purse:
    """CPU time that grows by `rate` a second. Whoever finds something in it may take more than that, and the rest
    is paid off later."""

    def __init__(self, rate: float, now: float) -> None:
        self._left = rate * _SAVED_SECONDS
        self._at = now

    def left(self, now: float, rate: float) -> float:
        self._left = min(self._left + (now - self._at) * rate, rate * _SAVED_SECONDS)
        self._at = now
        return self._left

    def take(self, seconds: float) -> None:
        self._left -= seconds


class Budget:
    """The share of one session."""

    def __init__(self, now: float, share: float = SHARE) -> None:
        self._rate = share / 2
        self._common = _Purse(self._rate, now)
        self._own: dict[Allowance, _Purse] = {}

    def join(self, now: float) -> "Allowance":
        """A channel's part, until it leaves."""
        allowance = Allowance(self)
        self._own[allowance] = _Purse(self._rate / (len(self._own) + 1), now)
        return allowance

    def leave(self, allowance: "Allowance") -> None:
        del self._own[allowance]

    def free_at(self, allowance: "Allowance", now: float) -> float:
        _, seconds = self._fuller(allowance, now)
        return now if seconds > 0 else now - seconds

    def spend(self, allowance: "Allowance", now: float, seconds: float) -> None:
        purse, _ = self._fuller(allowance, now)
        purse.take(seconds)

    def _fuller(self, allowance: "Allowance", now: float) -> tuple[_Purse, float]:
        """The common purse or the channel's own, and how long it took to fill; below 0: how long it will be empty."""
        own = self._own[allowance]
        own_rate = self._rate / len(self._own)
        common_seconds, own_seconds = (
            self._common.left(now, self._rate) / self._rate,
            own.left(now, own_rate) / own_rate,
        )
        return (self._common, common_seconds) if common_seconds >= own_seconds else (own, own_seconds)


class Allowance:
    """What one channel may spend. `now` is in seconds, of any clock that never goes back."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def free_at(self, now: float) -> float:
        """When it may sample next, `now` at the earliest."""
        return self._budget.free_at(self, now)

    def spend(self, now: float, seconds: float) -> None:
        """So much CPU time was used."""
        self._budget.spend(self, now, seconds)

    def leave(self) -> None:
        """The channel has gone."""
        self._budget.leave(self)
