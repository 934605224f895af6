"""Watches of a channel: what it is told of objects, and of their interfaces."""

from typing import Any

import anyio
from anyio import CancelScope

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from .channel import Message, encode, unclear
from .checks import check_where, convert
from .errors import LIMITS_EXCEEDED, BusError
from .matches import Counted, Full, Watch
from .meta import Meta, MetaError, Metas, read
from .place import Place
from .trees import Told


class Watches:
    """The watches of one channel."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._front = place.front
        self._tasks = place.services.tasks
        self._limits = place.services.context.limits
        self._log = place.services.context.log
        self._watches: Counted[Watch] = Counted(self._limits.dbus_watches)
        self._described = Metas(self._limits.dbus_described_bytes)
        self._scopes: set[CancelScope] = set()

    def watch(self, asked: Any, message: Message) -> None:
        """Raises Problem, BusError."""
        watch = self._read("watch", asked)
        try:
            self._watches.add(watch)
        except Full:
            most = self._limits.dbus_watches
            self._log.limit("dbus_watches", most)
            raise BusError(LIMITS_EXCEEDED, f"{most} watches of this channel are there already") from None
        scope, over = CancelScope(), anyio.Event()
        self._scopes.add(scope)
        self._place.watching.setdefault(watch.name, []).append(over)
        self._tasks.start_soon(self._set_up, watch, message, scope, over)

    async def _set_up(self, watch: Watch, message: Message, scope: CancelScope, over: anyio.Event) -> None:
        try:
            with scope:
                if not scope.cancel_called:  # else the channel has ended before this began
                    await self._tell(watch, message)
        finally:
            self._scopes.discard(scope)
            over.set()
            self._place.watching[watch.name].remove(over)

    async def _tell(self, watch: Watch, message: Message) -> None:
        """Have all told that the watch reaches, and answer it."""
        cache = self._place.peer(watch.name).cache
        try:
            if watch in self._watches:  # else it was taken back before this began
                await cache.watch(_nameless(watch), self)
            self._front.answer(message, {"reply": []})
        except BusError as error:
            if watch in self._watches:
                while not self._watches.remove(watch):
                    pass
                cache.unwatch(_nameless(watch), self)
                self._front.refuse(message, error)
            else:  # it was taken back meanwhile
                self._front.answer(message, {"reply": []})
        except Problem as problem:
            self._front.close(problem)
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs this channel alone
            self._front.mistake("watch", error)
            self._front.close(Problem(INTERNAL_ERROR, "dbus-json3: a mistake within the bridge"))

    def unwatch(self, asked: Any, message: Message) -> None:
        """Raises Problem."""
        watch = self._read("unwatch", asked)
        if self._watches.remove(watch):
            self._place.peer(watch.name).cache.unwatch(_nameless(watch), self)

    def end(self) -> None:
        for scope in list(self._scopes):
            scope.cancel()
        for watch in self._watches:
            self._place.peer(watch.name).cache.unwatch(_nameless(watch), self)

    def _read(self, kind: str, asked: Any) -> Watch:
        watch: Watch = convert(kind, asked, Watch)
        check_where(kind, watch)
        namespace = "/" if watch.path is None and watch.path_namespace is None else watch.path_namespace
        return Watch(watch.path, namespace, watch.interface, self._place.name_of(kind, watch.name))

    def meta(self, asked: Any, message: Message) -> None:
        """What the front end describes it need not be told. Raises Problem."""
        try:
            found = read(asked)
        except MetaError as error:
            raise unclear(f"meta: {error}") from None
        for interface, each in found.items():
            if not self._place.metas.add(interface, each):
                most = self._limits.dbus_described_bytes
                self._log.limit("dbus_described_bytes", most)
                told = f"more than {most} bytes of interfaces are described on this channel (dbus_described_bytes)"
                raise Problem(INTERNAL_ERROR, told)

    # For the cache

    def describe(self, name: str | None, metas: dict[str, Meta]) -> None:
        new = {
            interface: meta
            for interface, meta in metas.items()
            if interface not in self._place.metas.known and not self._knows(interface, meta)
        }
        if new:
            self._note(new)
            self._front.tell(self._place.named({"meta": new}, name))

    def _note(self, new: dict[str, Meta]) -> None:
        if not all(self._described.add(interface, meta) for interface, meta in new.items()):
            self._described = Metas(self._limits.dbus_described_bytes)  # what is told again does no harm

    def _knows(self, interface: str, meta: Meta) -> bool:
        known = self._described.known.get(interface)
        return known is meta or known == meta

    def notify(self, name: str | None, told: Told) -> None:
        objects = b",".join([encode(path) + b":{" + _interfaces(each) + b"}" for path, each in told.items()])
        more = b"" if name in (None, self._place.name) else b',"name":' + encode(name)
        self._front.say(b'{"notify":{' + objects + b"}" + more + b"}")

    async def turn(self) -> None:
        await self._front.turn()

    def refused(self, error: BusError) -> None:
        self._log.warning("match-refused", error=error.name)
        self._front.close(Problem(INTERNAL_ERROR, f"the bus refuses to tell of changes: {error.message}"))


def _interfaces(each: "dict[str, bytes | None]") -> bytes:
    return b",".join([encode(name) + b":" + (b"null" if text is None else text) for name, text in each.items()])


def _nameless(watch: Watch) -> Watch:
    return Watch(watch.path, watch.path_namespace, watch.interface)
