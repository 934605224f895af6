"""What an internal channel is to the session, and the session to it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from spanbridge.manifests.model import Catalog
from spanbridge.protocol.control import bare, close, control
from spanbridge.protocol.frames import Buffer, Span, encode, header
from spanbridge.protocol.problems import Problem

if TYPE_CHECKING:  # the tools for people want the table of payloads, not the event loop
    from anyio.abc import TaskGroup

    from ..wire.context import Context
    from ..wire.source import Source
    from .front_end import FrontEnd
    from .other_hosts import OtherHosts
    from .privileged import Privileged

Made = TypeVar("Made")

_COPY_BELOW: Final = 16 << 10  # bytes of a payload: a smaller one is cheaper to copy than to list for the kernel


class Lasting(Protocol):
    """Something that is set once it is over: anyio.Event or asyncio.Event."""

    def is_set(self) -> bool: ...
    async def wait(self) -> object: ...


class Services:
    """What internal channels may use of their session.

    `tasks` is the session's task group: whoever starts a task there ends it when the channel ends. `environ` is the
    bridge's own environment. `catalog` gives the manifests as they are now, `reload` reads them anew, `on_reload` is
    called after each reload. `front_drained` returns once the front end has taken what waits for it, at once where
    nothing does: whoever sends much awaits it between two messages. `end_session` ends the bridge in order, for the
    reason given.
    """

    def __init__(
        self,
        context: "Context",
        front: "FrontEnd",
        tasks: "TaskGroup",
        environ: Mapping[str, str],
        *,
        catalog: Callable[[], Catalog],
        reload: Callable[[], None],
        front_drained: Callable[[], Awaitable[None]],
        end_session: Callable[[str], None],
    ) -> None:
        self.context = context
        self.front = front
        self.tasks = tasks
        self.environ = environ
        self.catalog = catalog
        self.reload = reload
        self.front_drained = front_drained
        self.end_session = end_session
        self.hosts: Callable[[], OtherHosts]  # set by the session; makes them when they are first asked for
        self.superuser: Privileged  # set by the session
        self.question_open: Callable[[], bool] = lambda: False  # what comes may be a password; set by the session
        self.on_reload: list[Callable[[], None]] = []
        self.lasting: list[Lasting] = []
        self._made: dict[Callable[..., Any], Any] = {}

    def outlast(self, over: Lasting) -> None:
        """The end of the session waits for it, for `exit_seconds` at most: a commit that was begun, a program that
        was told to end."""
        self.lasting = [each for each in self.lasting if not each.is_set()]
        self.lasting.append(over)

    def once(self, make: "Callable[[Services], Made]") -> Made:
        """What `make` makes of these services: made when first asked for, shared by all channels of the session."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made


class Internal(Protocol):
    """Serves one channel. Made of a `Port`, the open message and the `Services`; raises Problem if it cannot be."""

    @property
    def kind(self) -> str:
        """Its payload."""

    @property
    def takes(self) -> bool:
        """Whether the end of a large frame may be moved on to it, unread."""

    def put(self, data: Span) -> None:
        """Whole data frames of the channel (protocol.frames.payloads takes them apart)."""

    def move_in(self, held: Span, source: "Source", missing: int) -> int:
        """A large frame of which `held` was read; the other `missing` bytes lie in `source`. How many were lost."""

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        """A control message for the channel, `close` included."""

    def end(self) -> None:
        """The channel is over, whoever closed it: let go of all that it holds."""


class Port:
    """The channel's way to the front end."""

    __slots__ = ("_close", "_early", "_made", "_put", "channel", "ident", "open")

    def __init__(self, channel: str, put: Callable[[Span], None], close: Callable[[bytes, bytes], None]) -> None:
        self.channel = channel
        self.ident = channel.encode()
        self._put = put
        self._close = close
        self.open = True
        self._made = False
        self._early: bytes | None = None

    def send(self, payload: Buffer) -> None:
        """One data frame. Nothing goes out after `close`. `payload` must stay as it is."""
        if self.open:
            size = len(payload)
            self._put(encode(self.ident, payload) if size < _COPY_BELOW else [header(self.ident, size), payload])

    def shut(self) -> None:
        """The channel is over, whoever closed it: its id may be another's by now."""
        self.open = False
        self._close = _nobody

    def forward(self, frames: Span) -> None:
        """Whole frames of this channel, as they are."""
        if self.open:
            self._put(frames)

    def control(self, command: str, **members: object) -> None:
        """One control message; `_` in a member's name stands for `-`."""
        if self.open:
            self._put(control(command, channel=self.channel, **members) if members else bare(command, self.channel))

    def close(self, problem: Problem | None = None, **members: Any) -> None:
        """Close the channel; `end` is called: at once, or when it has been made."""
        if not self.open:
            return
        self.open = False
        if problem is None:
            frame = close(self.channel, **members) if members else bare("close", self.channel)
        else:
            told: dict[str, Any] = {**problem.members, **members}
            frame = close(self.channel, problem.code, problem.message, **told)
        self._end(frame)

    def last(self, frames: bytes) -> None:
        """As `forward`, of frames that end with `close`."""
        if self.open:
            self.open = False
            self._end(frames)

    def _end(self, frames: bytes) -> None:
        if self._made:
            self._over(frames)
        else:
            self._early = frames

    def made(self) -> None:
        """The channel is in the table now; it may have been closed while it was made."""
        self._made = True
        if self._early is not None:
            self._over(self._early)

    def _over(self, frame: bytes) -> None:
        # Nothing must lead back to whoever has the channel: what comes and goes is freed at once.
        tell, self._close = self._close, _nobody
        tell(self.ident, frame)


def _nobody(ident: bytes, frame: bytes) -> None:
    """The channel is over already."""


Maker = Callable[[Port, dict[str, Any], Services], Internal]

# payload -> the module of this package that has its class, and the class. A module is imported when it is first
# asked for: the start does not pay for payloads that nobody opens.
PAYLOADS: Final[Mapping[str, tuple[str, str]]] = {
    "null": ("null", "null"),
    "echo": ("echo", "echo"),
    "dbus-json3": ("dbus", "dbus"),
    "info": ("info", "info"),
    "session-control": ("session_control", "session_control"),
    "stream": ("streams.stream", "stream"),
    "packet": ("streams.packet", "packet"),
    "fsread1": ("files.fsread1", "fsread"),
    "fsreplace1": ("files.fsreplace1", "fsreplace"),
    "fsinfo": ("files.fsinfo", "fsinfo"),
    "fswatch1": ("files.fswatch1", "fswatch"),
    "fslist1": ("files.fslist1", "fslist"),
    "metrics1": ("metrics.channel", "metrics"),
    "http-stream1": ("http.stream", "http_stream"),
    "http-stream2": ("http.stream", "http_stream"),
    "websocket-stream1": ("http.websocket", "websocket"),
}

CAPABILITIES: Final[Mapping[str, tuple[str, ...]]] = {"fsreplace1": ("attrs",)}
"""Of those payloads that have any: what payload `info` tells."""

_HTTP: Final = ("tls-certificates", "address")
_OLDER: Final[Mapping[str, tuple[str, ...]]] = {
    "http-stream1": _HTTP,
    "http-stream2": _HTTP,
    "websocket-stream1": _HTTP,
    "dbus-json3": ("address",),
}
# Front ends still ask for these (`cockpit.http` for "address" whenever it is given one), though it is long since any
# bridge lacked them.


def capabilities(payload: str) -> tuple[str, ...]:
    """All that an open of `payload` may ask for."""
    return CAPABILITIES.get(payload, ()) + _OLDER.get(payload, ())


def find(payload: Any) -> Maker | None:
    """The class that serves `payload`, None if there is none."""
    return _maker(payload) if isinstance(payload, str) and payload in PAYLOADS else None


@cache
def _maker(payload: str) -> Maker:
    """It is asked for with each open, and an import takes its time even where all is there."""
    module, name = PAYLOADS[payload]
    found: Maker = getattr(import_module(f".{module}", __package__), name)
    return found


def check(message: dict[str, Any]) -> None:
    """Raises the Problem with which an open of one of PAYLOADS is refused for its other members.

    A module whose Maker refuses some opens has a function of this name, which the Maker calls.
    """
    module, _ = PAYLOADS[message["payload"]]
    of_module = getattr(import_module(f".{module}", __package__), "check", None)
    if of_module is not None:
        of_module(message)
