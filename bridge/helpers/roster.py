"""The channels of one helper, and the opens that wait for it.

waiting   the open came before the helper's `init`
open      the helper has the open; its frames go to the front end (`FORWARD`)
closed    the front end, or the bridge, has closed it and the helper has not answered: what it still says of it is
          late, and dropped (`DROP`)
held      closed, and the same id opened again: the open waits for the answer, which would else end the new channel;
          where that takes too long another helper has it; if there is no other, it is refused in the end
ended     both sides have closed it: what the helper still says of it is late too, as long as it is remembered (`DROP`)
"""

import asyncio
from collections.abc import Callable
from typing import Final

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import TIMEOUT, Problem
from spanbridge.protocol.splitter import Mark

from ..wire.context import Context
from .opening import Handed, Opening

FORWARD: Final = Mark("FORWARD")
DROP: Final = Mark("DROP")


class _Closed:
    """A channel that was closed towards the helper, which has not answered."""

    __slots__ = ("at", "held", "timer")

    def __init__(self, at: float) -> None:
        self.at = at  # loop time
        self.held: Opening | None = None  # an open of the same id that waits for the answer
        self.timer: asyncio.TimerHandle | None = None

    def let_go(self) -> Opening | None:
        """The open that is held, which is held no more."""
        if self.timer is not None:
            self.timer.cancel()
        held, self.held, self.timer = self.held, None, None
        return held


class Roster:
    """`put` writes to the helper. `adopted` is called for each open that waited and was handed over, `counted` when
    `waiting_bytes` has changed, `idle` when the last channel has gone. `give_away` is called with an open that was held
    for too long: True if another helper has it now. `refuse` closes the channel of one that cannot wait on."""

    def __init__(
        self,
        context: Context,
        *,
        put: Callable[[Span], None],
        adopted: Callable[[Opening], None],
        counted: Callable[[], None],
        idle: Callable[[], None],
        give_away: Callable[[Opening], bool],
        refuse: Callable[[Opening, Problem], None],
    ) -> None:
        self.routes: dict[bytes, Mark] = {}
        self.unheard: dict[bytes, Handed] = {}  # opens that it has said nothing of, in order
        self.place: Callable[[], int] = int  # where in the helper's stream lies what is put next; set once it runs
        self.channels = 0  # open, waiting and held ones
        self.used = context.loop.time()  # when a channel was opened or closed last
        self.waiting_bytes = 0  # of the opens that wait or are held, with all that came for them
        self.forgot = False  # channels that were closed are not all remembered: nobody can tell late from forged
        self._loop = context.loop
        self._log = context.log
        self._limits = context.limits
        self._put = put
        self._adopted = adopted
        self._counted = counted
        self._idle = idle
        self._give_away = give_away
        self._refuse = refuse
        self._waiting: dict[bytes, Opening] = {}
        self._closed: dict[bytes, _Closed] = {}
        self._ended: dict[bytes, None] = {}  # the oldest first

    def unanswered(self) -> tuple[int, float]:
        """Opens that the helper was handed and has said nothing of; how many seconds ago the oldest was."""
        oldest = next(iter(self.unheard.values()), None)
        return len(self.unheard), 0.0 if oldest is None else self._loop.time() - oldest.at

    def take(self, opening: Opening, *, ready: bool) -> bool:
        """Have a new channel served. False where its open must wait: for `init` unless `ready`, or for an answer."""
        self.used = now = self._loop.time()
        self.channels += 1
        if ready and not self._hold(opening):
            self._adopt(opening, now)
            return True
        if not ready:
            self._waiting[opening.ident] = opening
        self._count(opening.size)
        return False

    def take_again(self, ident: bytes, frame: bytes, like: Opening) -> bool:
        """As `take`, of a helper that is ready, for an open that differs from `like` in its channel alone; False where
        it must wait, and is still to be taken."""
        if ident in self._closed:
            return False
        self.used = now = self._loop.time()
        self.channels += 1
        self._hand(ident, frame, Handed(like, self.place(), now))
        return True

    def settle(self) -> None:
        """The helper takes opens now: hand over those that wait."""
        waiting, self._waiting = self._waiting, {}
        for opening in waiting.values():
            self._adopt_waiting(opening)

    def clear(self) -> list[Opening]:
        """The helper has no channel any more. The opens that it was not handed."""
        self.routes.clear()
        self.unheard.clear()
        left = list(self._waiting.values())
        left += [held for closed in self._closed.values() if (held := closed.let_go()) is not None]
        self._waiting.clear()
        self._closed.clear()
        self._ended.clear()
        return left

    # Opens that wait (session.sinks.Keeper)

    def keep(self, opening: Opening, command: str | None, span: Span) -> None:
        """More has come for an open that waits."""
        self._count(opening.add(command, span))

    def forget(self, opening: Opening) -> None:
        """An open that waits was closed by the front end: the helper need never hear of it."""
        if self._waiting.pop(opening.ident, None) is None:
            self._closed[opening.ident].let_go()
        self._count(-opening.size)
        self._lose()

    # The end of a channel

    def close(self, ident: bytes, frame: bytes) -> None:
        """Close a channel towards the helper."""
        self._put(frame)
        self.unheard.pop(ident, None)
        self.routes[ident] = DROP
        self._closed[ident] = _Closed(self._loop.time())
        if len(self._closed) > self._limits.closed_ids:
            oldest = next((ident for ident, closed in self._closed.items() if closed.held is None), None)
            if oldest is not None:
                del self._closed[oldest], self.routes[oldest]
                if not self.forgot:
                    self.forgot = True
                    self._log.limit("closed_ids", self._limits.closed_ids)
        self._lose()

    def closed(self, ident: bytes) -> None:
        """The helper has closed an open channel."""
        self.unheard.pop(ident, None)
        self._remember(ident)
        self._lose()

    def owes(self, ident: bytes) -> bool:
        """Whether the helper has not answered a close of this channel."""
        return ident in self._closed

    def answered(self, ident: bytes) -> None:
        """The helper has answered a close."""
        self._release(ident)
        if not self.channels and not self._closed:
            self._idle()

    @property
    def answers_due(self) -> float:
        """Seconds until no answer to a close is to be waited for; 0: there is none."""
        newest = next(reversed(self._closed.values()), None)
        if newest is None:
            return 0.0
        return max(0.0, newest.at + self._limits.close_answer_seconds - self._loop.time())

    # Within

    def _hand(self, ident: bytes, frame: bytes, handed: Handed) -> None:
        self.routes[ident] = FORWARD
        self._ended.pop(ident, None)
        self.unheard[ident] = handed
        self._put(frame)

    def _adopt(self, opening: Opening, now: float) -> None:
        self._hand(opening.ident, opening.frame, Handed(opening, self.place(), now))
        if opening.later:
            for _, span in opening.later:
                self._put(span)
            opening.handed_over()

    def _adopt_waiting(self, opening: Opening) -> None:
        self._count(-opening.size)
        self._adopt(opening, self._loop.time())
        self._adopted(opening)

    def _hold(self, opening: Opening) -> bool:
        """Keep an open until the close of the same id has been answered, or that has taken too long."""
        closed = self._closed.get(opening.ident)
        if closed is None:
            return False
        closed.held = opening
        closed.timer = self._loop.call_later(self._limits.close_answer_seconds, self._overdue, opening.ident)
        return True

    def _overdue(self, ident: bytes) -> None:
        """The close of `ident` was not answered in time: the open that is held is for another helper. Where there is no
        other it waits on: what this one still says is of the old channel, and must not reach the new one."""
        closed = self._closed[ident]
        held = self._taken_back(closed)
        if held is None:
            return
        if self._give_away(held):
            if not self.channels:
                self._idle()
            return
        self._log.limit("close_answer_seconds", self._limits.close_answer_seconds, channel=ident.decode())
        self._count(held.size)
        self.channels += 1
        closed.held = held
        closed.timer = self._loop.call_later(self._limits.stuck_seconds, self._given_up, ident)

    def _given_up(self, ident: bytes) -> None:
        seconds = self._limits.stuck_seconds
        self._log.limit("stuck_seconds", seconds, channel=ident.decode())
        told = f"the close of an earlier channel of this id was not answered for {seconds:g} s (stuck_seconds)"
        held = self._taken_back(self._closed[ident])
        if held is not None:
            self._refuse(held, Problem(TIMEOUT, told))
        if not self.channels:
            self._idle()

    def _taken_back(self, closed: _Closed) -> Opening | None:
        """The open that is held there, which the helper is not to have."""
        held = closed.let_go()
        if held is not None:
            self._count(-held.size)
            self.channels -= 1
        return held

    def _release(self, ident: bytes) -> None:
        """The close of `ident` is answered."""
        held = self._closed.pop(ident).let_go()
        if held is not None:
            self._adopt_waiting(held)
        else:
            self._remember(ident)

    def _remember(self, ident: bytes) -> None:
        """Both sides have closed it; but what is under way may still come."""
        self.routes[ident] = DROP
        self._ended.pop(ident, None)
        self._ended[ident] = None
        if len(self._ended) > self._limits.closed_ids:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self.routes[oldest]

    def _count(self, size: int) -> None:
        self.waiting_bytes += size
        self._counted()

    def _lose(self) -> None:
        self.channels -= 1
        self.used = self._loop.time()
        if not self.channels:
            self._idle()
