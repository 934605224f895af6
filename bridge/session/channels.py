"""The table of channels: who has which, how an open finds somebody, how a channel ends.

An id is in the table from its open until either side has closed it. Its sink (sinks.py) is a helper, an open that
waits, or what the bridge serves itself.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from anyio.abc import TaskGroup

from spanbridge.manifests.model import Rule
from spanbridge.manifests.router import Router
from spanbridge.manifests.template import ExpansionError, expand, values
from spanbridge.protocol.control import close, frame_of
from spanbridge.protocol.problems import (
    DISCONNECTED,
    INTERNAL_ERROR,
    PROTOCOL_ERROR,
    TERMINATED,
    Problem,
)

from ..helpers.as_written import as_written
from ..helpers.endings import DISMISSED, SERVED, End, Refusal
from ..helpers.helper import Helper
from ..helpers.host_rule import without_secrets, without_what_its_name_says
from ..helpers.opening import Opening
from ..helpers.pool import Pool, Resting
from ..payloads import base
from ..wire.context import Context
from ..wire.front import Front
from .groups import Groups
from .recent import Recent
from .router import after_failure, nobody, normalise, own_payload, refusal
from .sinks import Keeper, Own, Sink, Waiting, problem_of
from .takers import Hosts, Privileged

Answer = TypeVar("Answer")


class Channels:
    """All channels of one session. `host` is the front end's own, None until its `init` has come.

    Its tables stand together, since one open or close changes several of them at once: who has the id, its group and
    host, who is still to answer an earlier close of it. The rest is what was given, and who is asked for an open.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        tasks: TaskGroup,
        rules: Sequence[Rule],
        services: base.Services,
        depth: int,
        connections: Callable[[], Hosts],
    ) -> None:
        """`connections`: those to other hosts; asked for when the first is needed."""
        self.routes: dict[bytes, Sink] = {}
        self.host: str | None = None
        self.pool = Pool(context, front, self, tasks, services.environ, depth, host=lambda: self.host or "")
        self.superuser: Privileged  # set by the session, before the first open
        self._limits = context.limits
        self._log = context.log
        self._front = front
        self._services = services
        self._router = Router(rules)
        self._recent = Recent()
        self._groups = Groups()
        self._answers: dict[bytes, Sink] = {}  # closed by the front end, and nobody's since: who is to answer
        self.secret_came = False  # with an open, in the chunk that is looked at
        self.unanswered: list[bytes] = []  # of the bridge's own channels, closed by the front end in this chunk
        self._ending = False
        self._connections = connections
        self._hosts: Hosts | None = None  # once the first was needed

    @property
    def helpers(self) -> list[Helper]:
        """All that are not reaped yet, those on other hosts among them, the oldest first."""
        alive = [*self.pool.alive, *(self._hosts.alive if self._hosts is not None else ())]
        return sorted(alive, key=lambda helper: helper.made_at)

    def use_rules(self, rules: Sequence[Rule], privileged: Sequence[Rule]) -> None:
        """From now on these rules serve; helpers of rules that are gone are stopped."""
        self._router = Router(rules)
        self._recent.forget()
        self.pool.retain((*rules, *privileged))

    # Opens

    def open_again(self, payload: bytes, frame: bytes) -> bool:
        """Have an open that is like the last one go the same way; False for anything else."""
        recent, routes = self._recent, self.routes
        ident, helper, like = recent.channel(payload), recent.helper, recent.opening
        if (
            not ident
            or helper is None
            or like is None
            or ident in routes
            or len(routes) >= self._limits.channels
            or len(ident) > self._limits.channel_id_bytes
            or not helper.take_again(ident, frame, like)
        ):
            return False
        self.pool.use(helper)
        self._groups.add_like(ident, recent.about)
        self._take_over(ident, helper)
        return True

    def open(self, channel: str, frame: bytes, message: dict[str, Any]) -> None:
        """Find somebody for an open. Raises Problem (`protocol-error`) for an id that cannot be or is in use."""
        ident = channel.encode()
        if b"\n" in ident or len(ident) > self._limits.channel_id_bytes:
            raise Problem(
                PROTOCOL_ERROR,
                f"open of channel {channel[:40]!r}: expected an id without a line feed, of at most"
                f" {self._limits.channel_id_bytes} bytes (channel_id_bytes)",
            )
        if ident in self.routes:
            raise Problem(PROTOCOL_ERROR, f"open of channel {channel!r}, which is open already")
        try:
            if len(self.routes) >= self._limits.channels:
                self._log.limit("channels", self._limits.channels)
                why = f"the limit of {self._limits.channels} open channels (channels) is reached"
                raise Problem(INTERNAL_ERROR, why)
            if "password" in message:
                self.secret_came = True
            matched, forwarded = normalise(message, self.host or "")
            self._check_length(matched)
        except Problem as problem:
            self._answers.pop(ident, None)
            self._front.put(close(channel, problem.code, problem.message))
            return
        self._groups.add(ident, matched)
        passed_on = frame if forwarded is message else frame_of(forwarded)
        self._route(Opening(ident, passed_on, matched, self._router, frame))

    def _check_length(self, message: dict[str, Any]) -> None:
        """What is kept for as long as the channel is open is no longer than its id may be."""
        for name in ("group", "host"):
            value = message.get(name)
            if isinstance(value, str) and len(value) > self._limits.channel_id_bytes:
                limit = f"{self._limits.channel_id_bytes} characters (channel_id_bytes)"
                raise Problem(
                    PROTOCOL_ERROR, f'"{name}" of the open: {len(value)} characters, above the limit of {limit}'
                )

    def _route(self, opening: Opening) -> None:
        """Find somebody for an open; one for this host may want privileges."""
        if "superuser" in opening.message:
            try:
                claimed = self.superuser.claims(opening)
            except Problem as problem:
                self.refuse(opening, problem)
                return
            if claimed is True:
                self.routes[opening.ident] = Waiting(opening, self.superuser.waiting)
                return
            if claimed:
                self._hand_over(opening, claimed)
                return
        self._advance(opening)

    def reroute(self, opening: Opening) -> None:
        """An open that waited for a helper is to begin again."""
        opening.router, opening.tried = self._router, -1
        self._route(opening)

    def outcome(self, opening: Opening) -> None:
        """Privileges are there, or will not be: what waited for that goes on."""
        if not self._ending:
            self._route(opening)

    def _advance(self, opening: Opening) -> None:
        """Offer an open to the next rule that matches, at last to the internal handlers."""
        router, message = opening.router, opening.message
        while (position := router.find(message, opening.tried)) >= 0:
            opening.tried = position
            rule, identity, recipe = router.plan(position)
            forbidden = refusal(rule)
            if forbidden is not None:
                self.refuse(opening, forbidden)
                return
            try:
                filled = as_written(message, recipe.variables, opening.came)
                helper = self.pool.get(
                    rule, (identity, expand(recipe, filled)), partial(values, recipe, filled), self._for_other(opening)
                )
            except Resting as resting:
                if not self._goes_on(opening, rule, resting.problem):
                    return
            except ExpansionError as error:
                self.refuse(opening, Problem(PROTOCOL_ERROR, f"{rule.name}: {error}"))
                return
            except Problem as problem:
                self.refuse(opening, problem)
                return
            else:
                plain = not opening.failures and "host" not in message and "superuser" not in message
                if plain and not opening.given_back and router is self._router:
                    self._recent.note(opening, helper)
                self._hand_over(opening, helper)
                return
        self._serve(opening)

    def _for_other(self, opening: Opening) -> dict[str, Any] | None:
        """What an open for another host tells the helper that it starts, and is not passed on with it."""
        message = opening.message
        if "host" not in message:
            return None
        passed_on = without_secrets(message)
        if passed_on is not message:
            opening.replace(message, frame_of(passed_on))
        return without_what_its_name_says(message, opening.came)

    def _goes_on(self, opening: Opening, rule: Rule, problem: Problem) -> bool:
        """Whether an open that a rule's helper failed to start for is offered to the next; else it is closed now, with
        what the helper said itself, or else with what the rule says."""
        if isinstance(problem, Refusal):
            self.refuse(opening, problem)
            return False
        opening.failures += (problem.message,)
        last = after_failure(rule, Problem(problem.code, "; ".join(opening.failures)))
        if last is None:
            return True
        self.refuse(opening, last)
        return False

    def _hand_over(self, opening: Opening, helper: Helper, keeper: Keeper | None = None) -> None:
        """`keeper`: who keeps what comes while it waits, if it must; the helper's roster if none is given."""
        if helper.take(opening):
            self._take_over(opening.ident, helper)
        else:
            self.routes[opening.ident] = Waiting(opening, keeper or helper.roster)

    def _take_over(self, ident: bytes, sink: Sink) -> None:
        """A channel has its sink. What answers the close of an earlier one of the same id is not for this one."""
        self.routes[ident] = sink
        self._answers.pop(ident, None)

    def _serve(self, opening: Opening) -> None:
        """No rule will have it: a connection to its host, the internal handlers by payload, or nobody."""
        message, ident = opening.message, opening.ident
        if "host" in message and self._limits.hosts:
            self._connect(opening)
            return
        try:
            found = base.find(own_payload(message))
            if found is None:
                problem = nobody(message, opening.failures, self._services.catalog())
                self._log.info("nobody-serves", channel=ident.decode(), problem=problem.code, why=problem.message)
                self.refuse(opening, problem)
                return
            own = Own(
                ident,
                lambda port: found(port, message, self._services),
                to_front=self._front.put,
                forget=self._forget,
            )
        except ImportError as error:
            self._refuse_unloaded(opening, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this channel alone
            self.refuse(opening, problem_of(str(message.get("payload")), error, self._log))
            return
        self._take_over(ident, own)
        self._careful(own, own.made)
        for command, span in opening.later or ():
            if self.routes.get(ident) is not own:
                break
            if command is None:
                self._careful(own, own.put, span)
            else:
                self.command(ident, command, span)  # type: ignore[arg-type]

    def spoilt(self, sink: Sink, error: Exception) -> None:
        """A sink has raised it. What one of the bridge's own raises costs that channel alone; raises
        what another did."""
        if not isinstance(sink, Own):
            raise error
        try:
            sink.fail(problem_of(sink.kind, error, self._log))
        except Exception as another:  # noqa: BLE001 - the channel is closed by now
            self._log.unforeseen(f"payload {sink.kind}", another)

    def _careful(self, sink: Sink, call: Callable[..., Answer], *args: Any) -> Answer | None:
        """Call it, one of `sink`; None where that was one of the bridge's own and raised something."""
        try:
            return call(*args)
        except Exception as error:  # noqa: BLE001 - told in `spoilt`, or raised again
            self.spoilt(sink, error)
            return None

    def _connect(self, opening: Opening) -> None:
        try:
            hosts = self._hosts = self._connections()
            helper = hosts.get(opening)
        except Problem as problem:
            self.refuse(opening, problem)
        except ImportError as error:
            self._refuse_unloaded(opening, error)
        except OSError as error:  # no descriptor is left to read that part
            self.refuse(opening, Problem(INTERNAL_ERROR, f"no connection: {error.strerror}"))
        else:
            self._hand_over(opening, helper, hosts.queue(helper))

    def _refuse_unloaded(self, opening: Opening, error: ImportError) -> None:
        """A part that nobody had needed so far: another version was installed over this one, or it was removed."""
        self._log.error("installation-changed", channel=opening.ident.decode(), why=str(error))
        told = f"spanbridge was changed or removed since this session began, log in again: {error}"
        self.refuse(opening, Problem(INTERNAL_ERROR, told))

    def refuse(self, opening: Opening, problem: Problem) -> None:
        """Close a channel that nobody serves."""
        self._forget(opening.ident)
        self._answers.pop(opening.ident, None)
        self._log.debug("open", "refused", channel=opening.ident.decode(), problem=problem.code, why=problem.message)
        channel = opening.ident.decode()
        try:
            frame = close(channel, problem.code, problem.message or None, **problem.members)
        except Problem:  # members nested so deeply that they could be read, and cannot be written from here
            frame = close(channel, problem.code, problem.message or None)
        self._front.put(frame)

    # From the front end

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """A control message for a channel; dropped where it is not open."""
        sink = self.routes.get(ident)
        if sink is None:
            return
        if command != "close":
            self._careful(sink, sink.command, ident, command, frame)
            return
        self._forget(ident)
        if self._careful(sink, sink.close, ident, frame):
            self._answers[ident] = sink
            if len(self._answers) > self._limits.closed_ids:
                del self._answers[next(iter(self._answers))]
        elif isinstance(sink, Own):
            self.unanswered.append(ident)

    def answer_closes(self) -> None:
        """At the end of a chunk: those of the bridge's own channels; unless the id is another's by now."""
        unanswered, self.unanswered = self.unanswered, []
        for ident in unanswered:
            if ident not in self.routes and not self._ending:
                self._front.put(close(ident.decode()))

    def kill(self, group: str | None, host: str | None) -> None:
        """Close what matches `group` and `host`, on both sides; None matches all."""
        for ident in self._groups.matching(group, host, self.host):
            told = close(ident.decode(), TERMINATED, "killed by the front end")
            sink = self.routes[ident]
            self._forget(ident)
            self._careful(sink, sink.close, ident, told)
            self._front.put(told)

    def disconnect(self) -> None:
        """The front end is gone: close all channels towards whoever has them. Opens that fail are not tried anew."""
        self._ending = True
        for ident, sink in list(self.routes.items()):
            if not self._careful(sink, sink.disconnect, ident, close(ident.decode(), DISCONNECTED)):
                self._forget(ident)

    def _forget(self, ident: bytes) -> None:
        self.routes.pop(ident, None)
        self._groups.discard(ident)

    # From helpers and their pool (pool.Channels)

    def adopted(self, opening: Opening, helper: Helper) -> None:
        self._take_over(opening.ident, helper)

    def retired(self, helper: Helper) -> None:
        self._recent.forget()

    def closed(self, ident: bytes, frame: bytes) -> None:
        self._forget(ident)
        self._front.put(frame)

    def close_answered(self, helper: Helper, ident: bytes, frame: bytes) -> None:
        if self._answers.get(ident) is helper:
            del self._answers[ident]
            if ident not in self.routes:
                self._front.put(frame)

    def orphaned(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        self._recent.forget()
        for ident in [ident for ident, answering in self._answers.items() if answering is helper]:
            del self._answers[ident]
        if self._ending:
            return
        given_back = {opening.ident for opening in waiting}
        for ident in [ident for ident, sink in self.routes.items() if sink is helper and ident not in given_back]:
            self._forget(ident)
            self._front.put(close(ident.decode(), problem.code, problem.message))
        for opening in waiting:
            if end == DISMISSED:
                self.refuse(opening, problem)
            elif end == SERVED:  # it was held back for the close of its id, or never read: it may start a new one
                self.reroute(opening)
            elif self._goes_on(opening, helper.rule, problem):
                if opening.router is not self._router:  # there was a reload meanwhile
                    opening.router, opening.tried = self._router, self._router.position(helper.launch.key[0])
                self._advance(opening)
