"""How a helper comes up that is not a program of this machine: what leads to it decides, and reads how it fails."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from spanbridge.protocol.problems import Problem

from .attendant import Asker
from .endings import Refusal


class Command(NamedTuple):
    """What is to be started here."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: str | None = None
    """None: where the bridge was started."""


class Way(Protocol):
    """One helper's way to its far end. `seconds`: how long it may take from the start of the command to an `init`."""

    seconds: float

    async def prepare(self) -> Command:
        """Raises Problem. May be cancelled."""

    def started(self, pid: int) -> None:
        """The command runs."""

    def heard(self, chunk: bytes) -> bytes | None:
        """What was read before its `init`: what of all so far is the helper's, None while it has not begun to speak.
        Raises Problem."""

    def said(self, line: str) -> None:
        """A line of stderr."""

    def asked_from_there(self, asker: Asker, question: dict[str, Any]) -> None:
        """The far end asks with an `authorize`: `asker.answer` is due."""

    def superuser_done(self) -> None:
        """The privileged helper of the far end has come up, or will not."""

    async def failure(self, status: int) -> Refusal:
        """The command has ended before the `init`, with this exit status, or below 0 by that signal: what the channels
        are closed with. May be cancelled."""

    def explain(self, problem: Problem, *, served: bool) -> Refusal:
        """What they are closed with for any other end. `served`: it had sent its `init`."""

    def over(self) -> None:
        """It takes nothing more: let go of all that is kept for it. May be called twice."""
