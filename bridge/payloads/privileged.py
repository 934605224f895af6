"""The privileged side of a session, as the internal bus shows and moves it; the helpers' room has who does the work."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from spanbridge.manifests.model import Rule


class SuperuserError(Exception):
    """A call of the front end that cannot be done; the text says why, in the helper's own words where it has any."""


class Cancelled(SuperuserError):
    """The start was stopped."""


class Privileged(Protocol):
    """At most one privileged helper: which may be started, and which runs.

    `on_change` is called when `current` or what is offered has changed, `on_prompt(message, prompt, error, echo)` when
    the helper asks something.
    """

    on_change: Callable[[], None]
    on_prompt: Callable[[str, str, str, bool], None]

    @property
    def current(self) -> str:
        """The id of the one that runs; else `none`, `init` while one comes up, `root` where none is needed."""

    @property
    def offered(self) -> Mapping[str, Rule]:
        """By id."""

    @property
    def looked(self) -> bool:
        """Whether `offered` is what there is now; `look` sees to it."""

    async def look(self) -> None:
        """Find out what is offered."""

    def start(self, ident: str) -> Callable[[], Awaitable[None]]:
        """Begin to start one, after `look`; what it gives returns once that runs. Both raise SuperuserError."""

    def stop(self) -> None:
        """End the one that runs or is coming up. Raises SuperuserError."""

    def answer(self, response: str) -> None:
        """The answer to the open prompt. Raises SuperuserError."""
