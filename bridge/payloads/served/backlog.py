"""What the front end has sent to channels that the bridge serves itself, and nobody has taken yet.

Where one channel has too much of it, or all together have, the front end is not read until half is gone. A channel
that takes nothing meanwhile is closed (`timeout`): one stuck program must not hold up the session.
"""

from collections.abc import Callable
from typing import Final

from ...wire.context import Context
from ...wire.deadline import Deadline
from ..front_end import FrontEnd

CHANNEL: Final = "channel_queue_bytes"
ALL: Final = "channels_queue_bytes"

MESSAGE_BYTES: Final = 256
"""What a message counts beside its data: as much memory is taken by a short one that waits."""


class Account:
    """What waits for one channel. `on_stuck` is called when it has taken nothing for too long."""

    __slots__ = ("full", "on_stuck", "taken_at", "waiting")

    def __init__(self, on_stuck: Callable[[], None], now: float) -> None:
        self.on_stuck = on_stuck
        self.waiting = 0  # bytes, with MESSAGE_BYTES for each message
        self.full = False
        self.taken_at = now  # loop time; of the last byte taken, or of the first that had to wait


class Backlog:
    """One for a session (Services.once)."""

    def __init__(self, context: Context, front: FrontEnd) -> None:
        self._loop = context.loop
        self._limits = context.limits
        self._log = context.log
        self._front = front
        self._accounts: set[Account] = set()  # those with something waiting
        self._waiting = 0
        self._full = False
        self._timer = Deadline(context.loop, self._judge)

    def came(self, account: Account, nbytes: int) -> None:
        """One more message waits; an empty one only behind others, with which it is taken."""
        if not account.waiting:
            if not nbytes:
                return
            account.taken_at = self._loop.time()
            self._accounts.add(account)
        nbytes += MESSAGE_BYTES
        account.waiting += nbytes
        self._waiting += nbytes
        if account.waiting > self._limits.channel_queue_bytes and not account.full:
            account.full = True
            self._block(account, CHANNEL, self._limits.channel_queue_bytes)
        if self._waiting > self._limits.channels_queue_bytes and not self._full:
            self._full = True
            self._block(self, ALL, self._limits.channels_queue_bytes)

    def taken(self, account: Account, nbytes: int, of: int) -> None:
        """So many `of` all bytes of data wait no more. What the messages count goes with them, in proportion."""
        if not nbytes:
            return
        nbytes = account.waiting if nbytes >= of else account.waiting * nbytes // of
        account.waiting -= nbytes
        self._waiting -= nbytes
        if account.waiting:
            account.taken_at = self._loop.time()
        else:  # the next that comes begins anew
            self._accounts.discard(account)
        if account.full and account.waiting <= self._limits.channel_queue_bytes // 2:
            account.full = False
            self._front.unblock(account)
        if self._full and self._waiting <= self._limits.channels_queue_bytes // 2:
            self._full = False
            self._front.unblock(self)

    def forget(self, account: Account) -> None:
        """Its channel is over."""
        self.taken(account, account.waiting, account.waiting)

    def _block(self, who: object, name: str, limit: int) -> None:
        self._log.limit(name, limit)
        self._front.block(who)
        if not self._timer.runs:
            self._timer.begin(self._limits.stuck_seconds)

    def _judge(self) -> None:
        """Close what has taken nothing for too long; look again when the next one may be due."""
        suspects = [account for account in self._accounts if account.full or self._full]
        now, seconds = self._loop.time(), self._limits.stuck_seconds
        for account in suspects:
            if account.taken_at + seconds <= now:
                self._log.limit("stuck_seconds", seconds)
                account.on_stuck()
        left = [account.taken_at for account in self._accounts if account.full or self._full]
        if left:
            self._timer.begin(max(min(left) + seconds - now, 0.0))
