"""The connections to other hosts of one session: who is connected to, shared, ended for idleness (docs/hosts.md)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from anyio.abc import TaskGroup

from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import Expansion
from spanbridge.protocol.control import frame_of
from spanbridge.protocol.problems import INTERNAL_ERROR, TERMINATED, Problem

from ...wire.context import Context
from ...wire.front import Front
from ..endings import DISMISSED, SERVED, End
from ..helper import Helper
from ..host_places import HostPlaces
from ..host_rule import without_secrets, without_what_its_name_says
from ..launch import Launch
from ..life import QUEUED, READY
from ..opening import Opening
from ..places import Guest
from ..pool import Channels
from .prompts import Prompts
from .queue import Queue
from .ssh_program import SshProgram
from .wanted import ConnectionKey, Wanted, read_wanted

if TYPE_CHECKING:
    from .connection import Connection
    from .equipment import Equipment

NAME: Final = "ssh"
"""How `--bridges` and logs call what is no rule of a manifest."""


class Hosts:
    """Connections by host as written, user, and private channel. It owns its helpers (owner.Owner).

    `environ` is the bridge's own environment, `user` the name of the session's user.
    """

    def __init__(
        self,
        context: Context,
        front: Front,
        channels: Channels,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        user: str,
        places: HostPlaces,
    ) -> None:
        self.alive: dict[Helper, Connection] = {}  # all that are not reaped yet
        self.prompts = Prompts(context.loop, context.limits, context.log)
        self.on_change: Callable[[], object] = bool  # called when `told` has something new to tell
        self._context = context
        self._loop = context.loop
        self._limits = context.limits
        self._front = front
        self._channels = channels
        self._tasks = tasks
        self._environ = environ
        self._user = user
        self._places = places
        self._program: SshProgram | None = None
        self._equipments: list[Equipment] = []  # the last one serves; another is made if somebody has removed its files
        self._serving: dict[ConnectionKey, Helper] = {}  # those that take opens
        self._idle: dict[Helper, asyncio.TimerHandle] = {}

    # Opens

    def get(self, opening: Opening) -> Helper:
        """The connection for an open with a foreign host; it is begun if there is none. What is meant for the
        connection alone is taken out of the open. Raises Problem."""
        wanted = read_wanted(without_what_its_name_says(opening.message, opening.came), self._user)
        forwarded = without_secrets(opening.message)
        if forwarded is not opening.message:
            opening.replace(forwarded, frame_of(forwarded))
            opening.came = opening.frame  # what came has a password in it
        helper = self._serving.get(wanted.key)
        if helper is None:
            helper = self._begin(wanted)
        else:
            self._stop_counting(helper)
        try:
            self.queue(helper).check(opening.size)
        except Problem:
            self.idle(helper)  # it may have been begun for this one alone
            raise
        return helper

    def _begin(self, wanted: Wanted) -> Helper:
        equipment = self._equip()
        from .connection import Connection

        leaver = self._places.room()
        connection = Connection(equipment, wanted)
        helper = Helper(
            self._context,
            self._front,
            self._channels,
            self,
            _launch(wanted),
            connection.asked_from_there,
            way=connection,
        )
        connection.helper = helper
        self.alive[helper] = connection
        self._serving[wanted.key] = helper
        self._places.take(helper, leaver)
        self._tasks.start_soon(self._run, helper, leaver)
        self.on_change()
        return helper

    def _equip(self) -> "Equipment":
        if self._program is None:
            self._program = SshProgram(self._context, self._tasks, self._environ)
            self._program.ask()  # first: while it tells, the rest is imported
        if not self._equipments or not self._equipments[-1].socket.reachable:
            from .equipment import Equipment

            try:
                made = Equipment(self._context, self._tasks, self._environ, self.prompts, self._program)
            except OSError as error:
                raise Problem(INTERNAL_ERROR, f"no place for what ssh needs: {error}") from None
            self._equipments.append(made)
        return self._equipments[-1]

    async def _run(self, helper: Helper, leaver: Guest | None) -> None:
        if leaver is None and helper.state == QUEUED:
            helper.life.move("room")
        try:
            await helper.run()
        finally:
            del self.alive[helper]
            self._places.free(helper)
            self.on_change()

    def queue(self, helper: Helper) -> Queue:
        """Who keeps what comes for an open that waits for the connection."""
        return Queue(helper, self._limits, self._context.log, self._channels.closed)

    # The life of connections (owner.Owner)

    def ready(self, helper: Helper) -> None:
        """Its `init` has come."""
        self.alive[helper].greeted()
        self.on_change()
        self.idle(helper)

    def retired(self, helper: Helper) -> None:
        """It takes no more opens; it has channels still."""
        self._take_out(helper)
        self._channels.retired(helper)

    def idle(self, helper: Helper) -> None:
        """Its last channel has gone."""
        if helper.roster.channels:
            return
        if helper.state != READY:
            helper.end(Problem(TERMINATED, "nobody waits for it any more"), abandon=True, dismissed=True)
        elif self.alive[helper].wanted.private:
            helper.end(Problem(TERMINATED, "its channel has gone"))
        elif helper not in self._idle:
            seconds = self._limits.host_idle_seconds
            self._idle[helper] = self._loop.call_later(seconds, self._expire, helper)

    def _expire(self, helper: Helper) -> None:
        self._stop_counting(helper)
        if helper.idle:
            helper.end(Problem(TERMINATED, f"had no channel for {self._limits.host_idle_seconds:g} s"))

    def _stop_counting(self, helper: Helper) -> None:
        timer = self._idle.pop(helper, None)
        if timer is not None:
            timer.cancel()

    def overdue(self, helper: Helper, opening: Opening) -> bool:
        """The open stays where it is: to connect anew may take a password, which is forgotten."""
        return False

    def ended(self, helper: Helper, problem: Problem, waiting: list[Opening], end: End) -> None:
        """It takes no more opens; the next one begins another connection."""
        self._take_out(helper)
        self._stop_counting(helper)
        self.alive[helper].over()
        tell = self._context.log.info if end in (SERVED, DISMISSED) else self._context.log.warning
        event = "host-ended" if end in (SERVED, DISMISSED) else "host-failed"
        tell(event, host=helper.launch.host, problem=problem.code, why=problem.message)
        self._channels.orphaned(helper, problem, waiting, end)
        self.on_change()

    def _take_out(self, helper: Helper) -> None:
        key = self.alive[helper].wanted.key
        if self._serving.get(key) is helper:
            del self._serving[key]

    def disconnect(self, host: str) -> None:
        """End all connections to `host`, as it is spelt."""
        for helper in list(self.alive):
            if helper.launch.host == host:
                helper.end(Problem(TERMINATED, "disconnected by the front end"), dismissed=True)

    def close(self) -> None:
        """All helpers have gone."""
        for equipment in self._equipments:
            equipment.close()
        self._equipments.clear()

    # What is told

    def told(self) -> list[dict[str, Any]]:
        """Each connection: host, user, state, seconds, channels, pid."""
        now = self._loop.time()
        return [
            {
                "host": helper.launch.host,
                "user": connection.wanted.destination.user,
                "private": connection.wanted.private,
                "state": helper.state,
                "pid": helper.pid or None,
                "seconds": round(now - helper.made_at, 3),
                "channels": helper.roster.channels,
                "queued": helper.queued,
            }
            for helper, connection in self.alive.items()
        ]


def _launch(wanted: Wanted) -> Launch:
    """A helper of a rule that no manifest has."""
    rule = Rule(package=NAME, position=0, source="", match=None, spawn=(NAME,))
    host, user, channel = wanted.key
    words = [
        host,
        *([f"user={user}"] if user is not None else ()),
        *([f"channel={channel}"] if channel is not None else ()),
    ]
    key = (NAME.encode(), Expansion((NAME, *words), (), None))
    return Launch(rule, key, {}, wanted.host, {}, name=f"{NAME} {wanted.destination.text}", superuser=wanted.superuser)
