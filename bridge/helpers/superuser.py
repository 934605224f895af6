"""Privileged bridges: which there are, starting and stopping one, its questions, and the opens that ask for it
(docs/superuser.md).

    none      -> starting    `start`, or `init` of the front end
    starting  -> running     the helper's `init` has come
    starting  -> none        it failed, or `stop`; after `init` with "any" the next one is tried first
    running   -> none        it ended, or `stop`

At most one helper runs. Passwords are handed on and not kept.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import compile_rule, expand
from spanbridge.protocol.control import close, control
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, Problem

from ..session.router import privileges, without_privileges
from ..wire.context import Context
from ..wire.front import Front
from .board import SERVED, Board, End
from .helper import Helper
from .opening import Opening
from .pool import Pool

NONE: Final = "none"
INIT: Final = "init"
ROOT: Final = "root"
ANY: Final = "any"

TWICE: Final = "a privileged bridge with the same id comes before it"


class SuperuserError(Exception):
    """A call of the front end that cannot be done; the text says why, in the helper's own words where it has any."""


class Cancelled(SuperuserError):
    """The start was stopped."""


class _Attempt:
    """One helper that is coming up."""

    __slots__ = ("error", "helper", "ident", "over", "questions", "stopped")

    def __init__(self, ident: str) -> None:
        self.ident = ident
        self.helper: Helper | None = None
        self.over = anyio.Event()
        self.error: str | None = None
        self.stopped = False
        self.questions = 0


def ident_of(rule: Rule) -> str:
    """What a privileged bridge is called by."""
    return rule.label or rule.spawn[0].rpartition("/")[2]


def offer(
    rules: Iterable[Rule], path: str | None, sudo_seconds: float
) -> tuple[dict[str, Rule], list[tuple[Rule, str]]]:
    """The privileged rules that can be started, by id, in order; and those that are left out, with the reason.

    `path`: where programs are looked for. `sudo` is run for this.
    """
    offered: dict[str, Rule] = {}
    left_out: list[tuple[Rule, str]] = []
    for rule in rules:
        why = TWICE if ident_of(rule) in offered else _unusable(rule, path, sudo_seconds)
        if why is None:
            offered[ident_of(rule)] = rule
        else:
            left_out.append((rule, why))
    return offered, left_out


def in_turn(offered: Mapping[str, Rule]) -> dict[str, Rule]:
    """What `any` stands for: those that are tried, in order."""
    labelled = {ident: rule for ident, rule in offered.items() if rule.label is not None}
    return labelled or dict(offered)


def _unusable(rule: Rule, path: str | None, sudo_seconds: float) -> str | None:
    """Why a privileged rule cannot be started; None: it can, as far as can be told."""
    program = shutil.which(rule.spawn[0], path=path)
    if program is None:
        return f"{rule.spawn[0]} is not found, or may not be run"
    if program.rpartition("/")[2] != "sudo":
        return None
    try:
        told = subprocess.run(
            [program, "--help"],
            capture_output=True,
            timeout=sudo_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"{program} --help took more than {sudo_seconds:g} s (sudo_seconds)"
    except OSError as error:
        return f"{program}: {error.strerror}"
    return None if b"askpass" in told.stdout + told.stderr else f"{program} --help does not speak of askpass"


class Superuser:
    """The privileged side of one session. `root`: the bridge has all privileges itself; there is nothing to gain.

    `on_change` is called when `current` or what is offered has changed, `on_prompt(message, prompt, error)` when the
    user is to be asked: `answer` is due.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        board: "Outcomes",
        pool: Pool,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        rules: Iterable[Rule],
        *,
        root: bool,
        user: str,
    ) -> None:
        self.current = ROOT if root else NONE
        self.on_change: Callable[[], None] = _nothing
        self.on_prompt: Callable[[str, str, str], None] = _no_prompt
        self._log = context.log
        self._limits = context.limits
        self._front = front
        self._board = board
        self._pool = pool
        self._tasks = tasks
        self._environ = environ
        self._rules = tuple(rules)
        self._offered: dict[str, Rule] | None = None
        self._user = user
        self._helper: Helper | None = None  # the one that runs
        self._attempt: _Attempt | None = None  # the one that is coming up
        self._from_init = False  # whether the front end's `init` is being acted on
        self._waiting: dict[bytes, Opening] = {}  # opens that wait for the outcome
        self._waiting_bytes = 0
        self._question: tuple[Helper, dict[str, Any]] | None = None  # the one that is open
        self._cookie: str | None = None  # under which it was passed on to the front end
        self._cookies = 0

    # What there is

    @property
    def offered(self) -> Mapping[str, Rule]:
        """The rules that can be started, by id, in order. Looked up when first asked for: `sudo` is run for it."""
        if self._offered is None:
            self._offered, left_out = offer(self._rules, self._environ.get("PATH"), self._limits.sudo_seconds)
            for rule, why in left_out:
                if why == TWICE:
                    self._log.warning("privileged-twice", label=ident_of(rule), left_out=rule.source)
                else:
                    self._log.debug("superuser", "not-offered", rule=rule.name, why=why)
        return self._offered

    def use_rules(self, rules: Iterable[Rule]) -> None:
        """From now on these are offered; a helper whose rule is gone is stopped."""
        self._rules = tuple(rules)
        self._offered = None
        kept = {rule.identity for rule in self._rules}
        for helper in (self._helper, self._attempt.helper if self._attempt else None):
            if helper is not None and helper.key[0] not in kept:
                helper.end(Problem(TERMINATED, "its rule was changed or removed"))
        self.on_change()

    # Start and stop

    async def start(self, ident: str) -> None:
        """Start one, and return once it runs. Raises SuperuserError."""
        self._check_free()
        rule = self.offered.get(ident)
        if rule is None:
            known = ", ".join(self.offered) or "none"
            raise SuperuserError(f"no privileged bridge {ident!r}; there are: {known}")
        attempt = self._begin(ident, rule)
        try:
            await attempt.over.wait()
        finally:
            self._settle()
        if attempt.stopped:
            raise Cancelled("the start was stopped")
        if attempt.error is not None:
            raise SuperuserError(attempt.error)

    def _check_free(self) -> None:
        if self.current == ROOT:
            raise SuperuserError("this bridge runs as root already")
        if self._attempt is not None or self._from_init:
            raise SuperuserError("a privileged bridge is being started already")
        if self._helper is not None:
            raise SuperuserError(f"the privileged bridge {self.current!r} runs already")

    def heed_init(self, wanted: Any) -> None:
        """Act on `superuser` of the front end's `init`: {"id": ...} starts one, anything else means none."""
        ident = wanted.get("id") if isinstance(wanted, dict) else None
        if isinstance(ident, str):
            if self._attempt is None and self._helper is None and self.current != ROOT and not self._from_init:
                self._from_init = True
                self._set_current(INIT)
                self._tasks.start_soon(self._start_from_init, ident)
            else:
                self._front.put(control("superuser-init-done"))

    async def _start_from_init(self, wanted: str) -> None:
        try:
            for ident, rule in self._chosen(wanted).items():
                attempt = self._begin(ident, rule)
                await attempt.over.wait()
                if attempt.stopped or attempt.error is None:
                    break
                self._log.info("superuser-failed", id=ident, why=attempt.error)
        finally:
            self._from_init = False
            if self._helper is None:
                self._set_current(NONE)
            self._settle()
            self._front.put(control("superuser-init-done"))

    def _chosen(self, wanted: str) -> dict[str, Rule]:
        offered = self.offered
        if wanted != ANY:
            return {wanted: offered[wanted]} if wanted in offered else {}
        return in_turn(offered)

    def _begin(self, ident: str, rule: Rule) -> _Attempt:
        attempt = self._attempt = _Attempt(ident)
        key = (rule.identity, expand(compile_rule(rule), {}))
        try:
            attempt.helper = self._pool.start_apart(rule, key, _Watch(self, self._board), self)
        except Problem as problem:
            attempt.error = problem.message
            self._attempt = None
            attempt.over.set()
        return attempt

    def stop(self) -> None:
        """End the one that runs or is coming up, at once. Raises SuperuserError if there is none."""
        helper = self._helper
        if self._attempt is not None:
            self._attempt.stopped = True
            helper = self._attempt.helper
        if helper is None:
            raise SuperuserError("no privileged bridge runs")
        helper.end(Problem(TERMINATED, "stopped"))

    def end(self) -> None:
        """The session is over."""
        if self._attempt is not None and self._attempt.helper is not None:
            self._attempt.stopped = True
            self._attempt.helper.end(Problem(TERMINATED, "the session has ended"))

    def ready(self, helper: Helper) -> None:
        """The one that was coming up has sent its `init`."""
        attempt = self._attempt
        if attempt is not None:
            self._attempt = None
            self._helper = helper
            self._set_current(attempt.ident)
            attempt.over.set()
            self._settle()

    def ended(self, helper: Helper, problem: Problem) -> None:
        """The one that runs, or was coming up, takes nothing more."""
        if self._question is not None and self._question[0] is helper:
            self._question = self._cookie = None
        attempt = self._attempt
        if attempt is not None and attempt.helper in (helper, None):
            self._attempt = None
            attempt.error = helper.take_stderr() or problem.message or problem.code
            attempt.over.set()
            self._settle()  # here, since whoever called `start` may have gone
        elif self._helper is helper:
            self._helper = None
            self._set_current(NONE)

    def _set_current(self, current: str) -> None:
        if self.current != current:
            self.current = current
            self._log.info("superuser", current=current)
            self.on_change()

    # Questions

    def asked(self, helper: Helper, question: dict[str, Any]) -> None:
        """A privileged helper wants a password. Not kept: what comes is handed on."""
        attempt = self._attempt
        if self._question is not None:  # one at a time
            helper.answer(question, "")
            return
        if self._from_init:
            if attempt is None or attempt.questions:
                helper.answer(question, "")
                return
            attempt.questions += 1
            self._cookies += 1
            self._cookie = f"superuser-{self._cookies}"
            self._question = (helper, question)
            challenge = "plain1:" + self._user.encode().hex()
            self._front.put(control("authorize", cookie=self._cookie, challenge=challenge))
            return
        said = helper.take_stderr()
        first = attempt is None or not attempt.questions
        if attempt is not None:
            attempt.questions += 1
        self._question = (helper, question)
        prompt = question.get("prompt")
        # Before the first question it is a greeting (sudo's lecture), after it the reason for asking again.
        self.on_prompt(said if first else "", prompt if isinstance(prompt, str) else "", "" if first else said)

    def answer(self, response: str) -> None:
        """The answer to the open prompt. Raises SuperuserError where there is none."""
        if self._question is None or self._cookie is not None:
            raise SuperuserError("no question is open")
        (helper, question), self._question = self._question, None
        helper.answer(question, response)

    def heed_authorize(self, message: dict[str, Any]) -> None:
        """The front end's `authorize`: an answer to what was passed on to it; dropped where it answers nothing."""
        response = message.get("response")
        if self._question is not None and self._cookie is not None and message.get("cookie") == self._cookie:
            (helper, question), self._question, self._cookie = self._question, None, None
            helper.answer(question, response if isinstance(response, str) else "")

    # Opens

    def claims(self, opening: Opening) -> Helper | bool:
        """Who is to have an open, for its `superuser` member: the helper that runs; True: it waits here, for the
        outcome; False: it goes on as if it had not asked. Raises Problem (`access-denied`, `protocol-error`)."""
        if self.current == ROOT:
            return False
        wanted = privileges(opening.message)
        if wanted is None:
            return False
        if self._helper is not None:
            return self._helper
        if self._attempt is not None or self._from_init:
            if self._waiting_bytes + opening.size > self._limits.helper_queue_bytes:
                raise self._too_much(opening)
            self._waiting[opening.ident] = opening
            self._waiting_bytes += opening.size
            return True
        without_privileges(wanted)
        return False

    def keep(self, opening: Opening, command: str | None, span: Any) -> None:
        """More has come for an open that waits (channels.Keeper).

        Where that is too much the channel is closed. The front end is read on: the answer to a question, or a stop,
        may be what comes next.
        """
        self._waiting_bytes += opening.add(command, span)
        if self._waiting_bytes > self._limits.helper_queue_bytes:
            self.forget(opening)
            problem = self._too_much(opening)
            self._board.closed(opening.ident, close(opening.ident.decode(), problem.code, problem.message))

    def forget(self, opening: Opening) -> None:
        """An open that waits was closed (channels.Keeper)."""
        del self._waiting[opening.ident]
        self._waiting_bytes -= opening.size

    def _too_much(self, opening: Opening) -> Problem:
        limit = self._limits.helper_queue_bytes
        self._log.limit("helper_queue_bytes", limit, channel=opening.ident.decode())
        return Problem(
            INTERNAL_ERROR,
            f"more than {limit} bytes (helper_queue_bytes) wait for a privileged bridge that is starting",
        )

    def _settle(self) -> None:
        """The outcome is there: what waited for it goes on."""
        if self._attempt is not None or (self._from_init and self._helper is None):
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        for opening in waiting.values():
            self._board.outcome(opening)


class Outcomes(Board, Protocol):
    """The table of channels, as the superuser sees it."""

    def outcome(self, opening: Opening) -> None:
        """An open that waited may be routed anew."""


class _Watch:
    """The table of channels as a privileged helper sees it: what becomes of it is told to the superuser too."""

    def __init__(self, superuser: Superuser, board: Board) -> None:
        self._superuser = superuser
        self._board = board
        self.init_for = board.init_for
        self.adopted = board.adopted
        self.closed = board.closed
        self.close_answered = board.close_answered

    def ready(self, helper: Helper) -> None:
        self._superuser.ready(helper)

    def retired(self, helper: Helper) -> None:
        """There is one privileged helper; the next is started when this one has ended and somebody asks for it."""

    def idle(self, helper: Helper) -> None:
        """It stays until it is stopped."""

    def ended(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        # In this order: an open that it held back is routed anew, and must not find it any more.
        self._superuser.ended(helper, problem)
        self._board.ended(helper, problem, waiting, SERVED)


def _nothing() -> None:
    pass


def _no_prompt(message: str, prompt: str, error: str) -> None:
    pass
