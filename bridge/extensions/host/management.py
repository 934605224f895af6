"""Requests of the user's own, below /api/extensions. An extension cannot make them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ...installed import VERSION
from ..errors import HttpError
from ..life.extension import Extension, Unavailable
from ..life.found import NAME
from ..life.life import Life
from ..life.parts import Parts
from ..life.permissions import Permissions
from ..life.settings import Setting
from ..runner.http import parse_query
from ..services.addresses import Refused
from ..services.audit import verify
from ..services.keeper import DatabaseFailed
from ..services.push import Subscription
from ..services.webhooks import Endpoint
from .answers import Answer, error, json_answer

_SEQ_MOST: Final = 1 << 62
_DIGITS: Final = 19
User = tuple[str, int]
T = TypeVar("T")


class Wrong(Exception):
    """A request that cannot be met, with its answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = error(status, code, message)


class _Gone(msgspec.Struct, frozen=True):
    endpoint: str


class _Consent(msgspec.Struct, frozen=True):
    permissions: Permissions | None = None


class Asked(NamedTuple):
    """A request: the parts of its path behind /api/extensions."""

    method: str
    parts: list[str]
    query: dict[str, Any]
    body: bytes

    def text(self, name: str) -> str | None:
        """None: it is not given, or empty. Raises Wrong."""
        value = self.query.get(name)
        if value is None or isinstance(value, str):
            return value or None
        raise Wrong(400, "bad-request", f"{name}: given more than once")

    def number(self, name: str, default: int, most: int) -> int:
        """Raises Wrong."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS or int(text) > most:
            raise Wrong(400, "bad-request", f"{name}: expected a whole number up to {most}")
        return int(text)


class Management:
    """Answers from the whole host."""

    def __init__(self, parts: Parts, life: Life) -> None:
        self._parts = parts
        self._life = life
        self._actions: dict[str, Callable[[Extension, bytes, User], Awaitable[Answer]]] = {
            "enable": self._enable,
            "disable": self._disable,
            "restart": self._restart,
        }
        self._resources: dict[str, Callable[[Asked], Awaitable[Answer]]] = {
            "audit": self._audit,
            "webhooks": self._webhooks,
            "alerts": self._alerts,
            "push": self._push,
        }

    async def answer(self, method: str, path: str, query: str, body: bytes, user: User) -> Answer:
        """`path` is what stands behind /api/extensions."""
        parts = path.strip("/").split("/") if path.strip("/") else []
        try:
            asked = Asked(method, parts, parse_query(query) if query else {}, body)
            return await self._answer(asked, user)
        except Wrong as wrong:
            return wrong.answer
        except HttpError as problem:
            return error(problem.status, problem.code, problem.message)
        except Refused as why:
            return error(400, "bad-request", str(why))
        except DatabaseFailed as why:
            self._parts.log.error("database", what=str(why))
            return error(503, "error", str(why))
        except RuntimeError as why:
            return error(503, "error", str(why))

    async def _answer(self, asked: "Asked", user: User) -> Answer:
        parts = asked.parts
        if not parts:
            await self._life.look_at_once()
            return _only(asked, "GET") or json_answer(200, self._all())
        is_action = len(parts) == 2 and parts[1] in self._actions
        # An extension may have the name of a resource: no resource has anything that is POSTed to an action's name.
        if parts[0] in self._resources and not (is_action and parts[0] in self._life.extensions):
            return await self._resources[parts[0]](asked)
        if is_action:
            await self.look_for(parts[0])
            return _only(asked, "POST") or await self._actions[parts[1]](self._named(parts[0]), asked.body, user)
        return nothing()

    async def look_for(self, name: str) -> None:
        """See whether an extension that is not known has come just now."""
        if name not in self._life.extensions and NAME.fullmatch(name):
            places = [os.path.join(each, name, "package.json") for each in self._parts.places.data]
            if any(map(os.path.lexists, places)):
                await self._life.look_at_once()

    def _all(self) -> dict[str, Any]:
        return {
            "host": {"pid": os.getpid(), "version": VERSION},
            "extensions": [extension.told() for _, extension in sorted(self._life.extensions.items())],
        }

    def _named(self, name: str) -> Extension:
        extension = self._life.extensions.get(name)
        if extension is None:
            raise Wrong(404, "no-such-extension", f"there is no extension {name[:64]!r}")
        return extension

    async def _enable(self, extension: Extension, body: bytes, user: User) -> Answer:
        consent = decoded(body, _Consent).permissions
        asks = extension.found.asks
        if consent is None and not asks.same(Permissions()):
            raise Wrong(409, "permissions-differ", "it asks for permissions: expected them as `permissions`")
        if consent is not None and not consent.same(asks):
            raise Wrong(409, "permissions-differ", "what is agreed to is not what it asks for")
        setting = extension.setting
        self._keep(extension, Setting(True, asks, setting.version))
        # At once, and then told: whoever asked may not wait for all of it, and the log may be full.
        extension.retire()  # what runs was locked in otherwise
        self._life.start_if_always(extension)
        notes = [] if setting.enabled else [self._note(extension, user, "enable", None)]
        if not asks.same(setting.consent):
            notes.append(self._note(extension, user, "consent", msgspec.to_builtins(asks)))
        await asyncio.gather(*notes)
        return json_answer(200, extension.told())

    async def _disable(self, extension: Extension, body: bytes, user: User) -> Answer:
        setting, undecided = extension.setting, self._parts.settings.problem(extension.name)
        self._keep(extension, Setting(False, setting.consent, setting.version))
        extension.retire()  # at once, and then told
        if setting.enabled or undecided:
            await self._note(extension, user, "disable", None)
        return json_answer(200, extension.told())

    async def _restart(self, extension: Extension, body: bytes, user: User) -> Answer:
        try:
            await extension.restart()
        except Unavailable as why:
            raise Wrong(why.status, why.code, why.message) from None
        return json_answer(200, extension.told())

    async def _audit(self, asked: Asked) -> Answer:
        if (refusal := _only(asked, "GET")) is not None:
            return refusal
        if asked.parts[1:] == ["verify"]:
            digest = asked.text("hash")
            seq = asked.number("seq", 0, _SEQ_MOST) if asked.text("seq") is not None else None
            if (seq is None) != (digest is None):
                raise Wrong(400, "bad-request", "seq, hash: a head that was kept is both")
            return json_answer(200, await asyncio.to_thread(verify, self._parts.audit.path, seq, digest))
        if asked.parts[1:]:
            return nothing()
        after, limit = asked.number("after", 0, _SEQ_MOST), asked.number("limit", 100, 10_000)
        entries = self._parts.audit.entries(asked.text("extension"), after, limit)
        return json_answer(200, {"entries": await asyncio.wrap_future(entries)})

    async def _webhooks(self, asked: Asked) -> Answer:
        webhooks, deliveries = self._parts.webhooks, self._parts.deliveries
        match asked.method, asked.parts[1:]:
            case "GET", []:
                return json_answer(200, {"webhooks": await webhooks.all()})
            case "POST", []:
                return json_answer(201, await webhooks.add(decoded(asked.body, Endpoint)))
            case "DELETE", [ident] if ident != "deliveries":
                return _removed(await webhooks.remove(ident))
            case "GET", ["deliveries"]:
                state = asked.text("state")
                if state not in (None, "waiting", "dead"):
                    raise Wrong(400, "bad-request", "state: expected waiting or dead")
                return json_answer(200, {"deliveries": await deliveries.told(state)})
            case "POST", ["deliveries", ident, "retry"]:
                found = await deliveries.retry(ident)
                return json_answer(202, {"id": ident}) if found else nothing()
        return _other(asked, {0: "GET, POST", 1: "DELETE, GET", 3: "POST"})

    async def _alerts(self, asked: Asked) -> Answer:
        if (refusal := _only(asked, "GET")) is not None:
            return refusal
        await self._life.open_those_with_alerts()
        found: list[dict[str, Any]] = []
        for name, extension in sorted(self._life.extensions.items()):
            if extension.bench is not None:
                try:
                    alerts = await asyncio.wrap_future(extension.bench.desk.do(extension.bench.alerts.list))
                except (DatabaseFailed, RuntimeError) as why:  # of one extension: the others are told
                    self._parts.log.error("alerts", extension=name, what=str(why))
                    continue
                found += [{"extension": name, **alert} for alert in alerts]
        return json_answer(200, {"alerts": found})

    async def _push(self, asked: Asked) -> Answer:
        push = self._parts.push
        match asked.method, asked.parts[1:]:
            case "GET", ["key"]:
                return json_answer(200, {"key": await push.key()})
            case "GET", ["subscriptions"]:
                return json_answer(200, {"subscriptions": await push.all()})
            case "POST", ["subscriptions"]:
                return json_answer(201, {"id": await push.add(decoded(asked.body, Subscription))})
            case "DELETE", ["subscriptions", ident]:
                return _removed(await push.remove(ident))
            case "DELETE", ["subscriptions"]:
                return _removed(await push.remove(decoded(asked.body, _Gone).endpoint))
        return nothing()

    def _keep(self, extension: Extension, setting: Setting) -> None:
        try:
            self._parts.settings.put(extension.name, setting)
        except OSError as error:
            self._parts.log.error("settings", what=str(error))
            raise Wrong(500, "internal-error", f"the settings cannot be written: {error}") from None

    def _note(self, extension: Extension, user: User, action: str, details: Any) -> "asyncio.Future[int]":
        """An entry of the audit log, which is written whether it is waited for or not; on disk once it was."""
        actor = {"name": user[0], "uid": user[1]}
        written = self._parts.audit.write(
            extension.name, actor, action, "extension", extension.name, details, ours=True
        )
        return asyncio.wrap_future(written)


def nothing() -> Answer:
    return error(404, "not-found", "there is no such path")


def _only(asked: "Asked", *allowed: str) -> Answer | None:
    """The answer for a method that the path does not have."""
    if asked.method in allowed:
        return None
    return error(405, "method-not-allowed", f"the path has {', '.join(allowed)}", Allow=", ".join(allowed))


def _removed(was_there: bool) -> Answer:
    return Answer(204, b"", {}) if was_there else nothing()


def _other(asked: Asked, allowed: dict[int, str]) -> Answer:
    methods = allowed.get(len(asked.parts) - 1)
    if methods is None:
        return nothing()
    return error(405, "method-not-allowed", f"the path has {methods}", Allow=methods)


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as what it must be; an empty one is an empty object. Raises Wrong."""
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except msgspec.ValidationError as problem:
        raise Wrong(400, "bad-request", str(problem)) from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise Wrong(400, "bad-json", f"the body is no JSON: {problem}") from None
