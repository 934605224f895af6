"""Expanded command -> helper: reuse, limits, idle time, back-off (docs/protocol.md, "Helpers")."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from anyio.abc import TaskGroup

from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import Expansion
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, Problem

from ..wire.context import Context
from ..wire.front import Front
from .board import Attendant, Board, Key, Refusal
from .helper import ENDING, GONE, QUEUED, Helper

DEPTH_VARIABLE: Final = "SPANBRIDGE_DEPTH"
RULE_VARIABLE: Final = "SPANBRIDGE_RULE"
LOGIN_MESSAGES_VARIABLE: Final = "COCKPIT_LOGIN_MESSAGES_MEMFD"  # the number of a descriptor that helpers do not have


def helper_environ(own: Mapping[str, str], rule: Rule, expansion: Expansion, depth: int) -> dict[str, str]:
    """The environment of a helper of the bridge that has `own`, and that `depth` bridges have led to."""
    inherited = {name: value for name, value in own.items() if name != LOGIN_MESSAGES_VARIABLE}
    return {**inherited, **dict(expansion.environ), DEPTH_VARIABLE: str(depth + 1), RULE_VARIABLE: rule.name}


class Resting(Exception):
    """The rule's helpers failed to start too often; it is not tried for a while. `problem` is what the last one failed
    with: it speaks for the ones that are not started."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Record:
    """The failed starts of one rule."""

    __slots__ = ("at", "delay", "last", "rests_until")

    def __init__(self) -> None:
        self.at: deque[float] = deque()
        self.delay = 0.0  # seconds of the last rest; 0: there was none
        self.rests_until = 0.0
        self.last: Problem | None = None


class _History:
    """What became of the helpers of one rule."""

    __slots__ = ("end", "failed", "name", "started")

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = 0
        self.failed = 0  # of those, that never were ready
        self.end: tuple[float, Problem] | None = None  # when and how the last one ended


class Pool:
    """All helper processes of one session, by what they were expanded to.

    `environ` is the bridge's own environment, `depth` how many bridges have started one another up to this one.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        board: Board,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        depth: int,
    ) -> None:
        self.alive: set[Helper] = set()  # all that are not reaped yet
        self._loop = context.loop
        self._limits = context.limits
        self._log = context.log
        self._context = context
        self._front = front
        self._board = board
        self._tasks = tasks
        self._environ = environ
        self._depth = depth
        self._serving: dict[Key, Helper] = {}  # those that take opens
        self._leaving: dict[Helper, Helper] = {}  # helper that makes room -> the one that waits for it
        self._records: dict[bytes, _Record] = {}
        self._histories: dict[bytes, _History] = {}  # by the identity of the rule
        self._idle: dict[Helper, asyncio.TimerHandle] = {}
        self._overdue: set[Helper] = set()  # idle for long enough, but for an answer that they owe

    def get(self, rule: Rule, key: Key, variables: Callable[[], Mapping[str, str]]) -> Helper:
        """The helper for an open that matched `rule` and expanded to `key`; started if there is none.

        `variables` tells what the expansion came of.

        Raises Resting, or Problem (`internal-error`) where a limit leaves no room.
        """
        helper = self._serving.get(key)
        if helper is not None:
            self.use(helper)
            return helper
        self._check_rest(rule, key[0])
        victim = self._room_for(rule, key[0])
        environ = helper_environ(self._environ, rule, key[1], self._depth)
        helper = Helper(self._context, self._front, self._board, rule, key, environ, variables=variables())
        self._serving[key] = helper
        self._add(helper)
        if victim is not None:
            self._leaving[victim] = helper
        self._tasks.start_soon(self._run, helper, victim)
        return helper

    def use(self, helper: Helper) -> None:
        """It is idle no more."""
        if helper in self._idle:
            self._forget_idle(helper)

    def start_apart(self, rule: Rule, key: Key, board: Board, attendant: Attendant) -> Helper:
        """Start a privileged helper, which serves no open but those that ask for it. Raises Problem."""
        if self._occupied(self.alive) >= self._limits.helpers:
            self._log.limit("helpers", self._limits.helpers, rule=rule.name)
            message = f"{rule.name}: the limit of {self._limits.helpers} helper processes (helpers) is reached"
            raise Problem(INTERNAL_ERROR, message)
        environ = helper_environ(self._environ, rule, key[1], self._depth)
        helper = Helper(self._context, self._front, board, rule, key, environ, attendant)
        self._add(helper)
        self._tasks.start_soon(self._run, helper, None)
        return helper

    def _add(self, helper: Helper) -> None:
        self.alive.add(helper)
        self._histories.setdefault(helper.key[0], _History(helper.name)).started += 1

    @property
    def by_age(self) -> list[Helper]:
        """All that are not reaped yet, the oldest first."""
        return sorted(self.alive, key=lambda helper: helper.made_at)

    def told(self) -> dict[str, dict[str, Any]]:
        """By the name of a rule: helpers started, those that failed to start, how the last one ended, seconds for which
        the rule is not tried."""
        now = self._loop.time()
        told: dict[str, dict[str, Any]] = {}
        for identity, history in self._histories.items():
            record, end = self._records.get(identity), history.end
            told[history.name] = {
                "started": history.started,
                "failed": history.failed,
                "rests": round(max(0.0, record.rests_until - now), 3) if record else 0.0,
                "last-end": end
                and {"problem": end[1].code, "message": end[1].message, "seconds": round(now - end[0], 3)},
            }
        return told

    async def _run(self, helper: Helper, victim: Helper | None) -> None:
        if victim is None:
            helper.room.set()
        else:
            self._tasks.start_soon(self._make_room, helper, victim)
        try:
            await helper.run()
        finally:
            self.alive.discard(helper)

    async def _make_room(self, helper: Helper, victim: Helper) -> None:
        await victim.gone.wait()
        del self._leaving[victim]
        helper.room.set()

    # Limits

    def _room_for(self, rule: Rule, identity: bytes) -> Helper | None:
        """None if one more process may be started; else a helper that leaves, for which the new one waits."""
        limits = self._limits
        of_rule = [helper for helper in self.alive if helper.key[0] == identity]
        if self._occupied(of_rule) >= limits.helpers_per_rule:
            return self._leaver(of_rule, "helpers_per_rule", limits.helpers_per_rule, rule)
        if self._occupied(self.alive) >= limits.helpers:
            return self._leaver(self.alive, "helpers", limits.helpers, rule)
        return None

    def _occupied(self, helpers: Iterable[Helper]) -> int:
        """Places taken: one that waits for another to leave shares its place."""
        return sum(1 for helper in helpers if helper not in self._leaving)

    def _leaver(self, helpers: Iterable[Helper], name: str, value: int, rule: Rule) -> Helper:
        free = [helper for helper in helpers if helper not in self._leaving and helper.state != QUEUED]
        ending = [helper for helper in free if helper.state in (ENDING, GONE)]
        if ending:
            return ending[0]
        idle = [helper for helper in free if helper.idle]
        self._log.limit(name, value, rule=rule.name, idle=len(idle))
        if not idle:
            raise Problem(
                INTERNAL_ERROR, f"{rule.name}: the limit of {value} helper processes ({name}) is reached, none is idle"
            )
        oldest = min(idle, key=lambda helper: helper.roster.used)
        oldest.end(Problem(TERMINATED, f"made room for another one, at the limit of {value} helpers ({name})"))
        return oldest

    # Failing to start

    def _check_rest(self, rule: Rule, identity: bytes) -> None:
        record = self._records.get(identity)
        if record is None or record.last is None or self._loop.time() >= record.rests_until:
            return
        if isinstance(record.last, Refusal):
            raise Resting(record.last)
        left = record.rests_until - self._loop.time()
        told = f"{record.last.message}; not the first time: the rule is tried again in {left:.1f} s"
        raise Resting(Problem(record.last.code, told))

    def _count_failure(self, rule: Rule, identity: bytes, problem: Problem) -> None:
        limits, now = self._limits, self._loop.time()
        record = self._records.setdefault(identity, _Record())
        record.last = problem
        record.at.append(now)
        while record.at[0] < now - limits.start_failures_seconds:
            record.at.popleft()
        if record.delay or len(record.at) >= limits.start_failures:
            record.delay = min(max(limits.backoff_seconds, 2 * record.delay), limits.backoff_most_seconds)
            record.rests_until = now + record.delay
            record.at.clear()
            self._log.limit("start_failures", limits.start_failures, rule=rule.name, rests=f"{record.delay:g}")

    # The life of helpers

    def ready(self, helper: Helper) -> None:
        """Its `init` has come: whatever failed before is forgotten."""
        self._records.pop(helper.key[0], None)

    def ended(self, helper: Helper, problem: Problem, *, failed: bool) -> None:
        """It takes no more opens; the next matching one starts another. `failed`: it never was ready."""
        identity = helper.key[0]
        history = self._histories.get(identity)
        if history is not None:  # its rule is still there
            history.end = (self._loop.time(), problem)
            history.failed += failed
        if self._serving.get(helper.key) is helper:
            del self._serving[helper.key]
        self._forget_idle(helper)
        if failed:
            self._count_failure(helper.rule, identity, problem)

    def retire(self, helper: Helper) -> None:
        """It takes no more opens; it has channels still."""
        if self._serving.get(helper.key) is helper:
            del self._serving[helper.key]

    def idle(self, helper: Helper) -> None:
        """Its last channel has gone, or the last answer to a close has come: now the rule's `timeout` counts."""
        if helper.rule.timeout is None or not helper.idle:
            return
        if helper in self._overdue:
            self._expire(helper)
        elif helper not in self._idle:
            self._idle[helper] = self._loop.call_later(helper.rule.timeout, self._expire, helper)

    def _expire(self, helper: Helper) -> None:
        """The time is over; but what it still has to answer is waited for."""
        self._forget_idle(helper)
        due = helper.roster.answers_due
        if due:
            self._overdue.add(helper)
            self._idle[helper] = self._loop.call_later(due, self._expire, helper)
        elif helper.idle:
            helper.end(Problem(TERMINATED, f"had no channel for {helper.rule.timeout:g} s"))

    def _forget_idle(self, helper: Helper) -> None:
        self._overdue.discard(helper)
        timer = self._idle.pop(helper, None)
        if timer is not None:
            timer.cancel()

    def retain(self, rules: Iterable[Rule]) -> None:
        """Stop the helpers of rules that are not among `rules`."""
        kept = {rule.identity for rule in rules}
        for helper in list(self._serving.values()):
            if helper.key[0] not in kept:
                helper.end(Problem(TERMINATED, "its rule was changed or removed"), dismissed=True)
        for identity in self._records.keys() - kept:
            del self._records[identity]
        for identity in self._histories.keys() - kept:
            del self._histories[identity]
