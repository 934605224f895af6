"""`/superuser`: the privileged side of the session (docs/superuser.md)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ..base import Services
from ..privileged import Cancelled, SuperuserError
from .bus import Outlet
from .errors import BusError
from .interface import method, readable, signal
from .signature import Variant
from .values import as_utf8

_ERROR: Final = "cockpit.Superuser.Error"
_CANCELLED: Final = "cockpit.Superuser.Error.Cancelled"


class Superuser:
    """`cockpit.Superuser`. A start that its caller no longer waits for goes on, until it ends or is stopped."""

    interface = "cockpit.Superuser"
    signals = (signal("Prompt", "s message, s prompt, s default, b echo, s error"),)

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._superuser = services.superuser
        self._outlet = outlet
        self._told: dict[str, Any] = {}
        self._superuser.on_change = self._changed
        self._superuser.on_prompt = lambda message, prompt, error, echo: outlet.emit(
            "Prompt", as_utf8(message), as_utf8(prompt), "", echo, as_utf8(error)
        )

    @property
    def prepared(self) -> bool:
        return self._superuser.looked

    async def prepare(self) -> None:
        """Find out what is offered, before the first answer that may tell of it."""
        await self._superuser.look()
        self._told = self._now()

    def _now(self) -> dict[str, Any]:
        return {"Bridges": self.bridges(), "Current": self.current(), "Methods": self.methods()}

    def _changed(self) -> None:
        before, self._told = self._told, self._now()
        if names := [name for name, value in self._told.items() if name not in before or before[name] != value]:
            self._outlet.changed(*names)

    @readable("Bridges", "as")
    def bridges(self) -> list[str]:
        return list(self._superuser.offered)

    @readable("Current", "s")
    def current(self) -> str:
        return self._superuser.current

    @readable("Methods", "a{sv}")
    def methods(self) -> dict[str, Variant]:
        labels = {ident: rule.label for ident, rule in self._superuser.offered.items() if rule.label is not None}
        return {ident: Variant("a{sv}", {"label": Variant("s", label)}) for ident, label in labels.items()}

    @method("Start", "s id", begins=True)
    def start(self, ident: str) -> Callable[[], Awaitable[None]]:
        try:
            return partial(self._outcome, self._superuser.start(ident))
        except SuperuserError as error:
            raise BusError(_ERROR, str(error)) from None

    async def _outcome(self, ready: Callable[[], Awaitable[None]]) -> None:
        try:
            await ready()
        except Cancelled as error:
            raise BusError(_CANCELLED, str(error)) from None
        except SuperuserError as error:
            raise BusError(_ERROR, str(error)) from None

    @method("Stop")
    def stop(self) -> None:
        try:
            self._superuser.stop()
        except SuperuserError as error:
            raise BusError(_ERROR, str(error)) from None

    @method("Answer", "s response")
    def answer(self, response: str) -> None:
        try:
            self._superuser.answer(response)
        except SuperuserError as error:
            raise BusError(_ERROR, str(error)) from None
