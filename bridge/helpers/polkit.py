"""The session as an agent of polkit: whoever asks polkit for something on its behalf has its user asked
(docs/superuser.md, "Without sudo").

It is one while a privileged helper comes up, and no longer.
"""

import os
import pwd
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, Final

from anyio import CancelScope

from spanbridge.protocol.problems import Problem

from ..payloads.base import Services
from ..payloads.bus import message as wire
from ..payloads.bus.addresses import address_of
from ..payloads.bus.connecting import connect
from ..payloads.bus.connection import Connection
from ..payloads.bus.errors import ACCESS_DENIED, UNKNOWN_METHOD, BusError
from ..payloads.bus.message import Message, call
from ..payloads.bus.signature import Variant
from .polkit_helper import Ask, authenticate

NAME: Final = "org.freedesktop.PolicyKit1"
OBJECT: Final = "/org/spanbridge/PolicyKit1/AuthenticationAgent"
AGENT: Final = "org.freedesktop.PolicyKit1.AuthenticationAgent"
FAILED: Final = "org.freedesktop.PolicyKit1.Error.Failed"
CANCELLED: Final = "org.freedesktop.PolicyKit1.Error.Cancelled"

_AUTHORITY: Final = ("/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority")
_BEGIN: Final = "sssa{ss}sa(sa{sv})"

Subject = tuple[str, dict[str, Variant]]


class Agent:
    """`ask` asks the user."""

    def __init__(self, services: Services, ask: Ask) -> None:
        self._services = services
        self._log = services.context.log
        self._ask = ask
        self._connection: Connection | None = None
        self._scopes: dict[str, CancelScope] = {}  # by cookie

    async def register(self) -> None:
        """From now on the user is asked. Raises BusError, Problem, OSError."""
        environ = self._services.environ
        asked = call(
            *_AUTHORITY,
            "RegisterAuthenticationAgent",
            "(sa{sv})ss",
            [subject(environ), _text(environ.get("LANG", "C")), OBJECT],
            destination=NAME,
        )
        connection = await connect(address_of("system", environ), self._services, name="the system bus", is_bus=True)
        self._connection = connection
        connection.serve = self._called
        connection.owners.track(NAME, self._owner_changed)
        await connection.ask(asked)

    def end(self) -> None:
        """Nobody is asked any more. polkit forgets an agent that has left the bus."""
        for scope in list(self._scopes.values()):
            scope.cancel()
        if self._connection is not None:
            self._connection.close()

    def _owner_changed(self, name: str, owner: str | None) -> None:
        """polkit has begun anew, and knows us no more: what it is asked then fails, and its caller is told why."""

    # What polkit asks of us

    def _called(self, message: Message) -> Awaitable[None] | None:
        connection = self._connection
        if connection is None:
            return None
        if NAME not in connection.owners.names(message.sender):
            connection.refuse(message, BusError(ACCESS_DENIED, "polkit alone may ask"))
        elif message.member == "BeginAuthentication" and message.signature == _BEGIN:
            _, _, _, _, cookie, identities = message.values()
            self._services.tasks.start_soon(self._authenticate, connection, message, cookie, identities)
        elif message.member == "CancelAuthentication" and message.signature == "s":
            (cookie,) = message.values()
            if cookie in self._scopes:
                self._scopes[cookie].cancel()
            connection.tell(wire.reply(message))
        else:
            connection.refuse(message, BusError(UNKNOWN_METHOD, f"there is no method {message.member}"))
        return None

    async def _authenticate(self, connection: Connection, message: Message, cookie: str, identities: list[Any]) -> None:
        uid = os.geteuid()
        if not _is_among(uid, identities) or self._scopes:
            connection.refuse(message, BusError(FAILED, f"user {uid} is not among those who may, or is being asked"))
            return
        scope = self._scopes[cookie] = CancelScope()
        outcome: BusError | None = BusError(CANCELLED, "cancelled")
        with scope:
            try:
                name = pwd.getpwuid(uid).pw_name
                succeeded = await authenticate(self._services, name, cookie, self._ask)
                outcome = None if succeeded else BusError(FAILED, "the authentication has failed")
            except Problem as problem:
                self._log.warning("polkit", why=problem.message)
                outcome = BusError(FAILED, problem.message)
            except Exception as error:  # noqa: BLE001 - whatever it is, it costs this question, not the session
                self._log.unforeseen("polkit", error)
                outcome = BusError(FAILED, "the user cannot be asked")
        del self._scopes[cookie]
        if outcome is None:
            connection.tell(wire.reply(message))
        else:
            connection.refuse(message, outcome)


def subject(environ: Mapping[str, str]) -> Subject:
    """Whom polkit is to ask by this agent: the login session, or else this process. Raises OSError: there is no /proc,
    or no descriptor left."""
    session = environ.get("XDG_SESSION_ID")
    if session:
        return ("unix-session", {"session-id": Variant("s", _text(session))})
    details = {
        "pid": Variant("u", os.getpid()),
        "start-time": Variant("t", start_time(Path("/proc/self/stat").read_text(errors="replace"))),
        "uid": Variant("i", os.getuid()),
    }
    return ("unix-process", details)


def start_time(stat: str) -> int:
    """When a process was started, in ticks since the machine was: field 22 of its `stat` (proc(5))."""
    return int(stat.rpartition(")")[2].split()[19])


def _text(value: str) -> str:
    """A variable as D-Bus takes it, though it may be no UTF-8."""
    return os.fsencode(value).decode(errors="replace")


def _is_among(uid: int, identities: list[Any]) -> bool:
    return any(kind == "unix-user" and details.get("uid") == {"t": "u", "v": uid} for kind, details in identities)
