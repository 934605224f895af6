"""The privileged helper of a session: its start and its end, and who gets it (docs/superuser.md).

At most one runs, and the next is not started before the one before it is gone. A start may have several candidates,
which are tried in turn.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

from spanbridge.manifests.model import UNIT, Rule
from spanbridge.manifests.template import compile_rule, expand
from spanbridge.protocol.control import control
from spanbridge.protocol.problems import TERMINATED, Problem

from ..payloads.base import Services
from ..payloads.privileged import Cancelled, SuperuserError
from ..wire.context import Context
from ..wire.front import Front
from .asking import Asking
from .attempt import Attempt
from .helper import Helper
from .launch import Begin
from .life import GONE
from .offered import TWICE, ident_of, in_turn
from .offered_aside import offer_aside
from .opening import Opening
from .pool import Pool
from .privileges import privileges, without_privileges
from .waiting_room import WaitingRoom

if TYPE_CHECKING:
    from .polkit import Agent

# What `current` is, but for a running one, whose id it is.
NONE: Final = "none"
INIT: Final = "init"
ROOT: Final = "root"

ANY: Final = "any"

RESTING: Final = "resting"
COMING: Final = "coming"
RUNNING: Final = "running"

TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    (RESTING, "start"): COMING,
    (COMING, "ready"): RUNNING,
    (COMING, "failed"): RESTING,
    (COMING, "stopped"): RESTING,
    (RUNNING, "ended"): RESTING,
}


class Table(Protocol):
    """The table of channels, as seen from here."""

    def outcome(self, opening: Opening) -> None:
        """An open that waited may be routed again."""

    def closed(self, ident: bytes, frame: bytes) -> None:
        """The channel of an open that waited is over."""


class Superuser:
    """The privileged side of one session. `root`: the bridge has all privileges itself; there is nothing to gain.

    `on_change` is called when `current` or what is offered has changed, `on_prompt(message, prompt, error, echo)`
    when the user is to be asked: `answer` is due.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        table: Table,
        pool: Pool,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        rules: Iterable[Rule],
        *,
        root: bool,
        user: str,
        services: Services,
    ) -> None:
        self.on_change: Callable[[], None] = _nothing
        self.on_prompt: Callable[[str, str, str, bool], None] = _no_prompt
        self.waiting = WaitingRoom(context.limits, context.log, table.closed)  # opens, for the outcome of a start
        self._log = context.log
        self._limits = context.limits
        self._front = front
        self._table = table
        self._pool = pool
        self._tasks = tasks
        self._environ = environ
        self._rules = tuple(rules)
        self._offered: dict[str, Rule] = {}
        self._looked_at: tuple[Rule, ...] | None = None  # the rules of which that is known
        self._looking = anyio.Lock()
        self._root = root
        self._services = services
        self._asking = Asking(
            front,
            user,
            attempt=lambda: self._start,
            running=lambda: self._running[1] if self._running is not None else None,
            prompt=lambda *told: self.on_prompt(*told),
        )
        self._state = RESTING
        self._start: Attempt | None = None  # COMING
        self._running: tuple[str, Helper] | None = None  # RUNNING: its id, and itself
        self._leaving: Helper | None = None  # the one before; it may not be gone yet

    @property
    def current(self) -> str:
        """The id of the one that runs; or `none`, `init` while one comes up, `root`."""
        if self._root:
            return ROOT
        if self._running is not None:
            return self._running[0]
        return NONE if self._start is None else INIT

    def _move(self, event: str) -> None:
        self._state = TRANSITIONS[self._state, event]
        self._log.info("superuser", current=self.current)
        self.on_change()

    # What there is

    @property
    def offered(self) -> Mapping[str, Rule]:
        """The rules that can be started, by id, in order, as far as `look` has found."""
        return self._offered

    @property
    def looked(self) -> bool:
        """Whether `offered` is what there is now."""
        return not self._rules or self._looked_at is self._rules

    async def look(self) -> None:
        """Find out what is offered, if that is not known. `sudo` is run for it: it may take `sudo_seconds`. Raises
        Problem."""
        async with self._looking:
            while not self.looked:
                rules = self._rules
                self._offered, left_out = await offer_aside(self._services, rules, self._environ)
                self._looked_at = rules
                for rule, why in left_out:
                    if why == TWICE:
                        self._log.warning("privileged-twice", label=ident_of(rule), left_out=rule.source)
                    else:
                        self._log.debug("superuser", "not-offered", rule=rule.name, why=why)

    async def _look_again(self) -> None:
        try:
            await self.look()
        except Problem as problem:
            self._log.warning("superuser", why=problem.message)
        except Exception as error:  # noqa: BLE001 - a mistake of ours: what is offered stays, and the session too
            self._log.unforeseen("superuser", error)
        self.on_change()

    def use_rules(self, rules: Iterable[Rule]) -> None:
        """From now on these are offered; a helper whose rule is gone is stopped."""
        known = self._looked_at is not None or not self._rules
        self._rules = tuple(rules)
        if not self._rules:
            self._offered = {}
        for helper in (self._running[1] if self._running else None, self._start.helper if self._start else None):
            if helper is not None and not self._in_force(helper.rule):
                helper.end(Problem(TERMINATED, "its rule was changed or removed"))
        if known:  # somebody has asked
            self._tasks.start_soon(self._look_again)

    def _in_force(self, rule: Rule) -> bool:
        return any(rule.identity == each.identity for each in self._rules)

    # Start

    def start(self, ident: str) -> Callable[[], Awaitable[None]]:
        """Begin to start one of those that `look` has found: a `stop` right after it stops this one. What it gives
        returns once it runs; the start goes on where nobody waits for that. Both raise SuperuserError."""
        self._check_free()
        rule = self.offered.get(ident)
        if rule is None:
            raise SuperuserError(self._no_such(ident))
        return partial(self._outcome, self._begin({ident: rule}, from_init=False))

    def _no_such(self, ident: str) -> str:
        return f"no privileged bridge {ident!r}; there are: {', '.join(self.offered) or 'none'}"

    async def _outcome(self, start: Attempt) -> None:
        await start.over.wait()
        if start.stopped:
            raise Cancelled("the start was stopped")
        if start.error:
            raise SuperuserError(start.error)

    def _check_free(self) -> None:
        if self._root:
            raise SuperuserError("this bridge runs as root already")
        if self._start is not None:
            raise SuperuserError("a privileged bridge is being started already")
        if self._running is not None:
            raise SuperuserError(f"the privileged bridge {self._running[0]!r} runs already")

    def heed_init(self, wanted: Any) -> None:
        """Act on `superuser` of the front end's `init`: {"id": ...} starts one, anything else means none."""
        ident = wanted.get("id") if isinstance(wanted, dict) else None
        if not isinstance(ident, str):
            return
        if self._state == RESTING and not self._root:
            self._begin({}, from_init=True, wanted=ident)
        else:
            self._front.put(control("superuser-init-done"))

    def _begin(self, candidates: Mapping[str, Rule], *, from_init: bool, wanted: str = "") -> Attempt:
        """`wanted`: the id of the candidates, where they are to be looked for still."""
        start = self._start = Attempt(candidates, from_init=from_init)
        self._move("start")
        self._tasks.start_soon(self._come_up, start, wanted)
        return start

    async def _come_up(self, start: Attempt, wanted: str) -> None:
        try:
            await self._try_all(start, wanted)
        except Problem as problem:
            self._log.info("superuser-failed", id=wanted, why=problem.message)
            start.error = problem.message
        except Exception as error:  # noqa: BLE001 - no descriptor is left, or no thread: it costs this start alone
            self._log.unforeseen("superuser", error)
            start.error = f"cannot be started: {error}"
        self._settle(start)

    async def _try_all(self, start: Attempt, wanted: str) -> None:
        """The candidates in turn."""
        if wanted:
            await self.look()
            if start.over.is_set():
                return
            offered = self.offered
            start.candidates = dict(in_turn(offered)) if wanted == ANY else _one(offered, wanted)
            if not start.candidates:
                self._log.info("superuser-failed", id=wanted, why=self._no_such(wanted))
        while start.candidates:
            if self._leaving is not None:
                await self._leaving.life.reached(GONE)
            if start.over.is_set():
                return
            rule = start.next()
            agent = await self._become_agent(start) if rule.polkit else None
            try:
                if start.over.is_set():
                    return
                self._try(start, rule)
                await start.tried.wait()
            finally:
                if agent is not None:
                    agent.end()

    async def _become_agent(self, start: Attempt) -> "Agent | None":
        """Have polkit ask the user by us. Where it does not want to, whatever it is asked tells the reason."""
        try:
            from ..payloads.bus.errors import BusError
            from .polkit import Agent
        except (ImportError, OSError) as error:  # it was removed, or no descriptor is left to read it
            self._log.warning("polkit", why=str(error))
            return None
        agent = Agent(self._services, lambda asked: self._asking.ask_user(start, asked))
        try:
            await agent.register()
        except (BusError, Problem, OSError) as error:
            self._log.warning("polkit", why=str(error))
        return agent

    def _try(self, start: Attempt, rule: Rule) -> None:
        if not self._in_force(rule):  # there was a reload meanwhile
            start.failed("its rule was changed or removed")
            return
        key = (rule.identity, expand(compile_rule(rule), {}))
        try:
            start.helper = self._pool.start_privileged(rule, key, self, self._asking.asked, self._begin_of(rule))
        except (Problem, ImportError, OSError) as error:  # as in `_become_agent`
            start.failed(str(error))

    def _begin_of(self, rule: Rule) -> "Begin | None":
        """Who starts it, where that is not the bridge itself."""
        if rule.method != UNIT:
            return None
        from .unit import Unit

        return lambda launch, on_exit: Unit(self._services, launch, on_exit)

    def _settle(self, start: Attempt) -> None:
        """A start is over: what waited for its outcome goes on."""
        if start.over.is_set():
            return
        self._start = None
        self._move("ready" if self._running else "stopped" if start.stopped else "failed")
        start.over.set()
        for opening in self.waiting.clear():
            self._table.outcome(opening)
        if start.from_init:
            self._front.put(control("superuser-init-done"))

    # What becomes of it (pool.Starter)

    def ready(self, helper: Helper) -> None:
        """The one that was coming up has sent its `init`."""
        start = self._start
        if start is not None and start.helper is helper:
            self._running = (start.ident, helper)
            start.error = ""
            start.candidates.clear()
            start.tried.set()
            self._settle(start)

    def retired(self, helper: Helper) -> None:
        """The one that runs is about to end, and is to have no more opens. Its channels are told once it has."""
        if self._running is not None and self._running[1] is helper:
            self._running = None
            self._leaving = helper
            self._move("ended")

    def ended(self, helper: Helper, problem: Problem) -> None:
        """The one that runs, or was coming up, takes nothing more."""
        self._asking.forget(helper.dialogue)
        self._leaving = helper
        start = self._start
        if start is not None and start.helper is helper:
            start.failed(helper.take_stderr() or problem.message or problem.code)
            if start.from_init and not start.stopped:
                self._log.info("superuser-failed", id=start.ident, why=start.error)
            if start.stopped or not start.candidates:
                self._settle(start)
        else:
            self.retired(helper)

    # Stop

    def stop(self) -> None:
        """End the one that runs or is coming up, at once. Raises SuperuserError if there is none."""
        if self._start is not None:
            self._stop_start(self._start, "stopped")
        elif self._running is not None:
            self._running[1].end(Problem(TERMINATED, "stopped"))
        else:
            raise SuperuserError("no privileged bridge runs")

    def end(self) -> None:
        """The session is over."""
        if self._start is not None:
            self._stop_start(self._start, "the session has ended")

    def _stop_start(self, start: Attempt, why: str) -> None:
        start.stopped = True
        start.candidates.clear()
        if start.helper is not None:
            start.helper.end(Problem(TERMINATED, why))
        self._settle(start)

    # Questions

    @property
    def question_open(self) -> bool:
        """Whether an answer is waited for."""
        return self._asking.open

    def answer(self, response: str) -> None:
        """The answer to the open prompt. Raises SuperuserError where there is none."""
        if not self._asking.answer(response):
            raise SuperuserError("no question is open")

    def heed_authorize(self, message: dict[str, Any]) -> None:
        """The front end's `authorize`."""
        self._asking.heed(message)

    # Opens

    def claims(self, opening: Opening) -> Helper | bool:
        """Who is to have an open, for its `superuser` member: the helper that runs; True: it waits in `waiting` for the
        outcome; False: it goes on as if it had not asked. Raises Problem (`access-denied`, `protocol-error`)."""
        if self._root:
            return False
        wanted = privileges(opening.message)
        if wanted is None:
            return False
        if self._running is not None:
            return self._running[1]
        if self._start is not None:
            self.waiting.add(opening)
            return True
        without_privileges(wanted)
        return False


def _one(offered: Mapping[str, Rule], ident: str) -> dict[str, Rule]:
    return {ident: offered[ident]} if ident in offered else {}


def _nothing() -> None:
    pass


def _no_prompt(message: str, prompt: str, error: str, echo: bool) -> None:
    pass
