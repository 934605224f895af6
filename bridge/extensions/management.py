"""Requests of the user's own, below /api/extensions. An extension cannot make them."""

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from .answers import Answer, error, json_answer
from .extension import Extension, Unavailable
from .found import Permissions
from .life import Life
from .parts import Parts
from .settings import Setting

_VERSION: Final = "0.1.0"
User = tuple[str, int]
T = TypeVar("T")


class Wrong(Exception):
    """A request that cannot be met, with its answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = error(status, code, message)


class _Consent(msgspec.Struct, frozen=True):
    permissions: Permissions | None = None


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

    async def answer(self, method: str, path: str, query: str, body: bytes, user: User) -> Answer:
        """`path` is what stands behind /api/extensions."""
        parts = path.strip("/").split("/") if path.strip("/") else []
        try:
            if not parts:
                return _only(method, "GET") or json_answer(200, self._all())
            if len(parts) == 2 and parts[1] in self._actions:
                return _only(method, "POST") or await self._actions[parts[1]](self._named(parts[0]), body, user)
        except Wrong as wrong:
            return wrong.answer
        return error(404, "not-found", "there is no such path")

    def _all(self) -> dict[str, Any]:
        return {
            "host": {"pid": os.getpid(), "version": _VERSION},
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
        self._parts.settings.put(extension.name, Setting(True, asks, setting.version))
        if not setting.enabled:
            await self._note(extension, user, "enable", None)
        if not asks.same(setting.consent):
            await self._note(extension, user, "consent", msgspec.to_builtins(asks))
        extension.retire()  # what runs was locked in otherwise
        return json_answer(200, extension.told())

    async def _disable(self, extension: Extension, body: bytes, user: User) -> Answer:
        setting = extension.setting
        self._parts.settings.put(extension.name, Setting(False, setting.consent, setting.version))
        if setting.enabled:
            await self._note(extension, user, "disable", None)
        extension.retire()
        return json_answer(200, extension.told())

    async def _restart(self, extension: Extension, body: bytes, user: User) -> Answer:
        try:
            await extension.restart()
        except Unavailable as why:
            raise Wrong(why.status, why.code, why.message) from None
        return json_answer(200, extension.told())

    async def _note(self, extension: Extension, user: User, action: str, details: Any) -> None:
        """An entry of the audit log, on disk."""
        actor = {"name": user[0], "uid": user[1]}
        await self._parts.audited(
            self._parts.audit.write(extension.name, actor, action, "extension", extension.name, details)
        )


def _only(method: str, *allowed: str) -> Answer | None:
    """The answer for a method that the path does not have."""
    if method in allowed:
        return None
    return error(405, "method-not-allowed", f"the path has {', '.join(allowed)}", Allow=", ".join(allowed))


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as what it must be; an empty one is an empty object. Raises Wrong."""
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except msgspec.ValidationError as problem:
        raise Wrong(400, "bad-request", str(problem)) from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise Wrong(400, "bad-json", f"the body is no JSON: {problem}") from None
