"""One session, as its relay has handed it over: the bridge at the other end of two descriptors, and its channels.

A request costs no task: it is handed over, and its answer passed on, by callbacks.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from anyio.abc import TaskGroup

from spanbridge.manifests.model import Catalog
from spanbridge.protocol.alike import Alike
from spanbridge.protocol.control import FOR_THE_TRANSPORT, VERSION, close, control, pong, read_message
from spanbridge.protocol.frames import control_payload
from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_SUPPORTED, PROTOCOL_ERROR, TOO_LARGE, Problem
from spanbridge.protocol.splitter import CONTROL, UNROUTED, FrameError, Splitter

from ...payloads.base import Port, Services
from ...payloads.served.channel import Channel
from ...wire.context import Context
from ...wire.front import Front
from .events_channel import events_channel
from .http_channel import http_channel
from .opening import EventsOpen, HttpOpen, events_open, http_open
from .requests import Requests

_IGNORED: Final = FOR_THE_TRANSPORT | {"kill", "hint", "logout"}


class Served(Protocol):
    """What a maker gives: the channel, and what is due once all that was read with the open has been dealt with."""

    channel: Channel

    def settle(self) -> None: ...


Opened = HttpOpen | EventsOpen
_READ: Final[dict[Any, Callable[[dict[str, Any]], Opened]]] = {
    "http-stream2": http_open,
    "extension-events": events_open,
}


class Session:
    """Begins at once; `over` is settled with what was wrong, None for nothing, when it has ended, and `gone` once what
    waited then has gone out, or is given up."""

    def __init__(
        self,
        context: Context,
        tasks: TaskGroup,
        in_fd: int,
        out_fd: int,
        *,
        requests: Requests,
        user: tuple[str, int],
    ) -> None:
        """The descriptors are its own from now on. `user`: whose session it is."""
        self._context = context
        self._requests = requests
        self._user = user
        self._began = False
        self._routes: dict[bytes, Channel] = {}
        self._ports: dict[bytes, Port] = {}
        self._opened: list[Served] = []
        # The last open that was read, for those that differ from it in their channel alone.
        self._alike = Alike()
        self._last: Opened | None = None
        self._done = Alike()
        self._splitter: Splitter[Channel] = Splitter(self._routes, id_bytes=context.limits.channel_id_bytes)
        self.over: asyncio.Future[str | None] = context.loop.create_future()
        self.gone: asyncio.Future[None] = context.loop.create_future()
        self._last_words: asyncio.TimerHandle | None = None
        self._front = Front(context, in_fd, out_fd, on_chunk=self._chunk, on_end=self._ended, on_broken=self._broken)
        self._services = Services(
            context,
            self._front,
            tasks,
            {},
            catalog=Catalog,
            reload=_nothing,
            front_drained=self._front.drained,
            end_session=self.end,
        )
        self._front.put(control("init", version=VERSION))
        self._front.link.resume()

    def end(self, wrong: str | None = None) -> None:
        """All channels are over; what waits still goes out, for a moment."""
        if self.over.done():
            return
        self.over.set_result(wrong)
        link = self._front.link
        link.close_in()
        for ident, channel in list(self._routes.items()):
            self._forget(ident)
            channel.end()
        link.flush()
        seconds = self._context.limits.extension_last_words_seconds
        self._last_words = self._context.loop.call_later(seconds, self._close)
        link.when_empty(self._close)

    def _close(self) -> None:
        if self._last_words is not None:
            self._last_words.cancel()
        self._front.link.close()
        if not self.gone.done():
            self.gone.set_result(None)

    # From the bridge

    def _chunk(self, chunk: bytes) -> None:
        try:
            for place, span in self._splitter.feed(chunk):
                if place is CONTROL:
                    self._control(span)  # type: ignore[arg-type]  # a control frame comes in one piece
                elif place is not UNROUTED:
                    place.put(span)  # type: ignore[union-attr]
                elif not self._began:
                    raise Problem(PROTOCOL_ERROR, "expected init, found data")
        except (FrameError, Problem) as error:
            self.end(str(error))
            return
        opened, self._opened = self._opened, []
        for served in opened:
            served.channel.guard(served.settle)

    def _control(self, frame: bytes) -> None:
        payload = control_payload(frame)
        if (name := self._alike.channel(payload)) and name not in self._routes and self._last is not None:
            self._serve(name, self._last)
            return
        if (name := self._done.channel(payload)) and (channel := self._routes.get(name)) is not None:
            channel.command(name, "done", frame)
            return
        command, ident, message = read_message(payload)
        if not self._began:
            if command != "init" or message.get("version") != VERSION:
                raise Problem(PROTOCOL_ERROR, f"expected init, version {VERSION}, found {command[:40]!r}")
            self._began = True
        elif command in _IGNORED:
            return
        elif ident is None:
            if command == "ping":
                self._front.put(pong(message))
        elif command == "open":
            self._open(ident, message, payload)
        elif (channel := self._routes.get(ident.encode())) is not None:
            channel.command(ident.encode(), command, frame)
            if command == "done":
                self._done.note(payload, ident.encode())
            elif command == "close":
                self._forget(ident.encode())
                self._front.put(close(ident))
                channel.end()

    def _open(self, ident: str, message: dict[str, Any], payload: bytes) -> None:
        name = ident.encode()
        if name in self._routes or "\n" in ident:
            raise Problem(PROTOCOL_ERROR, f"open of channel {ident[:80]!r}: expected an id that is not in use")
        try:
            kind = message.get("payload")
            read = _READ.get(kind) if isinstance(kind, str) else None
            if read is None:
                raise Problem(NOT_SUPPORTED, f"extensions serve no payload {kind!r}")
            opened = read(message)
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
            self._refuse(ident, error)
            return
        self._last = opened
        self._alike.note(payload, name)
        self._serve(name, opened)

    def _serve(self, name: bytes, opened: Opened) -> None:
        ident = name.decode()
        port = Port(ident, self._front.put, self._closed)
        try:
            most = self._context.limits.channels
            if len(self._routes) >= most:
                self._context.log.limit("channels", most)
                raise Problem(TOO_LARGE, f"the host serves at most {most} channels of one session at once (channels)")
            served: Served
            if isinstance(opened, HttpOpen):
                served = http_channel(port, opened, self._services, self._requests, self._user)
            else:
                served = events_channel(port, opened, self._services, self._requests)
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(ident, error)
            return
        self._routes[name] = served.channel
        self._ports[name] = port
        self._opened.append(served)
        port.made()

    def _refuse(self, ident: str, error: Exception) -> None:
        if isinstance(error, Problem):
            self._front.put(close(ident, error.code, error.message, **error.members))
        else:
            self._context.log.unforeseen("open", error)
            self._front.put(close(ident, INTERNAL_ERROR, "a mistake within the host, see host.log"))

    def _closed(self, ident: bytes, frame: bytes) -> None:
        """The channel has closed itself."""
        channel = self._routes.get(ident)
        self._forget(ident)
        self._front.put(frame)
        if channel is not None:
            self._context.flusher.later(channel.end)

    def _forget(self, ident: bytes) -> None:
        self._routes.pop(ident, None)
        port = self._ports.pop(ident, None)
        if port is not None:
            port.shut()

    def _ended(self, reason: str | None) -> None:
        if reason is None and self._splitter.held:
            reason = "it ended within a frame"
        self.end(reason)

    def _broken(self, reason: str) -> None:
        self.end()
        self._close()


def _nothing() -> None:
    """A host has no packages to read anew."""
