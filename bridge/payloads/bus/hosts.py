"""`/hosts`: connections to other hosts, and the questions of ssh (docs/hosts.md, "Questions")."""

from typing import Any, Final

from ..base import Services
from ..other_hosts import NoSuchPrompt, Question
from .bus import Outlet
from .errors import BusError
from .interface import method, readable, signal
from .signature import Variant

_ERROR: Final = "spanbridge.Hosts.Error"
_SIGNATURES: Final = {"state": "s", "user": "s", "seconds": "d", "channels": "u"}


class Hosts:
    """`spanbridge.Hosts`. Whoever has a match for `Prompt` is who is asked."""

    interface = "spanbridge.Hosts"
    signals = (signal("Prompt", "s id, s host, s messages, s prompt, b echo, b confirm"),)

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._hosts = services.hosts()
        self._outlet = outlet
        prompts = self._hosts.prompts
        prompts.listened = lambda: outlet.heard("Prompt")
        prompts.show = self._show
        outlet.on_fewer(self._fewer)
        self._hosts.on_change = lambda: outlet.changed("Hosts")

    def _show(self, ident: str, host: str, question: Question) -> None:
        self._outlet.emit("Prompt", ident, host, question.messages, question.prompt, False, question.confirm)

    def _fewer(self) -> None:
        if not self._outlet.heard("Prompt"):
            self._hosts.prompts.nobody_listens()

    @readable("Hosts", "a{sa{sv}}")
    def hosts(self) -> dict[str, dict[str, Variant]]:
        """By the spelling; of several connections to one the last."""
        return {told["host"]: _variants(told) for told in self._hosts.told()}

    @method("Answer", "s id, s answer")
    def answer(self, ident: str, answer: str) -> None:
        try:
            self._hosts.prompts.answer(ident, answer)
        except NoSuchPrompt as error:
            raise BusError(_ERROR, str(error)) from None

    @method("Cancel", "s id")
    def cancel(self, ident: str) -> None:
        try:
            self._hosts.prompts.cancel(ident)
        except NoSuchPrompt as error:
            raise BusError(_ERROR, str(error)) from None

    @method("Disconnect", "s host")
    def disconnect(self, host: str) -> None:
        self._hosts.disconnect(host)


def _variants(told: dict[str, Any]) -> dict[str, Variant]:
    values = {**told, "user": told["user"] or ""}
    return {name: Variant(signature, values[name]) for name, signature in _SIGNATURES.items()}
