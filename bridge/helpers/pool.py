"""All helpers of one session: who is started, shared, stopped to make room or for idleness, and what became of whom
(docs/protocol.md, "Helpers")."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from anyio.abc import TaskGroup

from spanbridge.manifests.model import Rule
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, Problem

from ..wire.context import Context
from ..wire.directories import Directories
from ..wire.front import Front
from .attendant import Attendant, refuse
from .backoff import Backoff
from .endings import FAILED, SERVED, End, Refusal
from .helper import Helper
from .host_places import HostPlaces
from .host_rule import answering
from .launch import Begin, Key, Launch, helper_environ, of_account
from .life import QUEUED
from .opening import Opening
from .owner import Table
from .places import Guest, Places
from .rule_record import RuleRecord


class Resting(Exception):
    """The command failed to start too often; it is not tried for a while. `problem` speaks for the helper that is not
    started."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Channels(Table[Helper], Protocol):
    """The table of channels, as the pool sees it."""

    def orphaned(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        """The helper takes nothing more, with `problem` for its channels. `waiting` were not handed over to it."""

    def retired(self, helper: Helper) -> None:
        """It is to have no more opens."""

    def reroute(self, opening: Opening) -> None:
        """An open that waited is to begin again."""


class Starter(Protocol):
    """Whoever has started a privileged helper, and is told of it first."""

    def ready(self, helper: Helper) -> None:
        """It has come up."""

    def retired(self, helper: Helper) -> None:
        """It is about to end, and is to have no more opens."""

    def ended(self, helper: Helper, problem: Problem) -> None:
        """It takes nothing more."""


class Pool:
    """Helpers by what they were expanded to; the privileged ones apart.

    `environ` is the bridge's own environment, `depth` how many bridges have started one another up to this one, `host`
    gives the name that the front end has for this host.

    It keeps several tables of helpers, since to be alive, to take opens and to be idle end at different times. What
    outlives a helper is kept by rule or command.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        channels: Channels,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        depth: int,
        host: Callable[[], str],
    ) -> None:
        self.alive: set[Helper] = set()  # all that are not reaped yet
        self.host_places = HostPlaces(context.limits, context.log)
        self._context = context
        self._loop = context.loop
        self._limits = context.limits
        self._front = front
        self._channels = channels
        self._tasks = tasks
        self._environ = environ
        self._depth = depth
        self._host = host
        self._serving: dict[Key, Helper] = {}  # those that take opens
        self._starters: dict[Helper, Starter] = {}  # of privileged ones
        self._directories = Directories(context.loop, context.log, context.limits.file_threads)
        self._places = Places(context.log)
        self._records: dict[bytes, RuleRecord] = {}  # by the identity of the rule
        self._backoff = Backoff(context.loop, context.limits, context.log)
        self._idle: dict[Helper, asyncio.TimerHandle] = {}
        self._overdue: set[Helper] = set()  # idle for long enough, but for an answer that they owe

    def get(
        self,
        rule: Rule,
        key: Key,
        variables: Callable[[], Mapping[str, str]],
        for_other: Mapping[str, Any] | None = None,
    ) -> Helper:
        """The helper for an open that matched `rule` and expanded to `key`; started if there is none.

        `variables` tells what the expansion came of. `for_other`: the open, where it is for another host.

        Raises Resting, or Problem (`internal-error`) where a limit leaves no room.
        """
        helper = self._serving.get(key)
        if helper is not None:
            self.use(helper)
            return helper
        resting = self._backoff.resting(key)
        if resting is not None:
            raise Resting(resting)
        to_host = for_other is not None and self._limits.hosts > 0
        leaver = self.host_places.room() if to_host else self._room_for(rule, key[0])
        self._context.before_programs()
        environ = helper_environ(self._environ, rule, key[1], self._depth)
        host = self._host()
        attendant: Attendant = refuse
        if for_other is not None:
            host, attendant = for_other["host"], answering(for_other, of_account().get("USER", ""))
        helper = self._serving[key] = self._make(Launch(rule, key, environ, host, variables()), attendant)
        if to_host:
            self.host_places.take(helper, leaver)
        elif leaver is not None:
            self._places.promise(leaver, helper)
        self._tasks.start_soon(self._run, helper, leaver)
        return helper

    def use(self, helper: Helper) -> None:
        """It is idle no more."""
        if helper in self._idle:
            self._forget_idle(helper)

    def start_privileged(
        self, rule: Rule, key: Key, starter: Starter, attendant: Attendant, begin: "Begin | None" = None
    ) -> Helper:
        """Start a privileged helper, which serves no open but those that ask for it. `begin` as in Launch. Raises
        Problem."""
        if self._places.taken(self._counted) >= self._limits.helpers:
            self._context.log.limit("helpers", self._limits.helpers, rule=rule.name)
            message = f"{rule.name}: the limit of {self._limits.helpers} helper processes (helpers) is reached"
            raise Problem(INTERNAL_ERROR, message)
        self._context.before_programs()
        environ = helper_environ(self._environ, rule, key[1], self._depth)
        helper = self._make(Launch(rule, key, environ, self._host(), {}, privileged=True, begin=begin), attendant)
        self._starters[helper] = starter
        self._tasks.start_soon(self._run, helper, None)
        return helper

    def _make(self, launch: Launch, attendant: Attendant) -> Helper:
        helper = Helper(
            self._context, self._front, self._channels, self, launch, attendant, directories=self._directories
        )
        self.alive.add(helper)
        self._records.setdefault(launch.key[0], RuleRecord(launch.rule.name)).started()
        return helper

    def told(self) -> dict[str, dict[str, Any]]:
        """By the name of a rule: what became of its helpers."""
        now = self._loop.time()
        rest_of = self._backoff.rest_of
        return {record.name: record.told(now, rest_of(identity)) for identity, record in self._records.items()}

    async def _run(self, helper: Helper, leaver: Guest | None) -> None:
        if leaver is None and helper.state == QUEUED:
            helper.life.move("room")
        try:
            await helper.run()
        finally:
            self.alive.discard(helper)
            self.host_places.free(helper)
            self._places.free(helper)

    # Limits

    def _room_for(self, rule: Rule, identity: bytes) -> Guest | None:
        """None if one more process may be started; else a helper that leaves, for which the new one waits."""
        counted, limits = self._counted, self._limits
        of_rule = [helper for helper in counted if helper.launch.key[0] == identity]
        for limit, most, helpers in (
            ("helpers_per_rule", limits.helpers_per_rule, of_rule),
            ("helpers", limits.helpers, counted),
        ):
            if self._places.taken(helpers) >= most:
                why = f"{rule.name}: the limit of {most} helper processes ({limit}) is reached, none is idle"
                full = Problem(INTERNAL_ERROR, why)
                return self._places.leaver(helpers, limit, most, full, kind="helpers", rule=rule.name)
        return None

    @property
    def _counted(self) -> list[Helper]:
        """Those that `helpers` and `helpers_per_rule` are about: not those for other hosts."""
        return [helper for helper in self.alive if helper not in self.host_places]

    # The life of helpers (owner.Owner)

    def ready(self, helper: Helper) -> None:
        """Its `init` has come."""
        starter = self._starters.get(helper)
        if starter is not None:
            starter.ready(helper)
        else:
            self._backoff.worked(helper.launch.key)
            self.idle(helper)

    def retired(self, helper: Helper) -> None:
        """It takes no more opens; it has channels still."""
        self._take_out(helper)
        starter = self._starters.get(helper)
        if starter is not None:
            starter.retired(helper)
        self._channels.retired(helper)

    def ended(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        """It takes no more opens; the next matching one starts another."""
        failed = end == FAILED
        record = self._records.get(helper.launch.key[0])
        if record is not None:  # its rule is still there
            record.ended(self._loop.time(), problem, failed=failed)
        self._take_out(helper)
        self._forget_idle(helper)
        starter = self._starters.pop(helper, None)
        if starter is not None:
            # In this order: an open that it held back is routed again, and must not find it any more.
            starter.ended(helper, problem)
            end = SERVED
        elif failed and not isinstance(problem, Refusal):
            self._backoff.failed(helper.name, helper.launch.key, problem)
        self._channels.orphaned(helper, problem, waiting, end)

    def overdue(self, helper: Helper, opening: Opening) -> bool:
        """The open goes to a new process of the same rule; this one keeps the channels that it has. Of privileged ones
        there is one."""
        if helper.launch.privileged:
            return False
        self.retired(helper)
        self._channels.reroute(opening)
        return True

    def _take_out(self, helper: Helper) -> None:
        if self._serving.get(helper.launch.key) is helper:
            del self._serving[helper.launch.key]

    def idle(self, helper: Helper) -> None:
        """Its last channel has gone, or the last answer to a close has come: now the rule's `timeout` counts."""
        if not helper.idle:
            return
        if self._serving.get(helper.launch.key) is not helper:
            helper.end(Problem(TERMINATED, "another one has taken its place"))
            return
        if helper.rule.timeout is None:
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
        """Stop the helpers of rules that are not among `rules`, and forget what became of them. Privileged ones are
        stopped by their starters."""
        kept = {rule.identity for rule in rules}
        for helper in list(self._serving.values()):
            if helper.launch.key[0] not in kept:
                helper.end(Problem(TERMINATED, "its rule was changed or removed"), dismissed=True)
        self._backoff.retain(kept)
        for identity in self._records.keys() - kept:
            del self._records[identity]
