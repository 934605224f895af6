"""Connections to other hosts, as the internal bus shows and ends them; the helpers' room has who makes them."""

from collections.abc import Callable
from typing import Any, Protocol


class NoSuchPrompt(Exception):
    """It was answered, cancelled, or is too old."""


class Question(Protocol):
    """What ssh asks, and whether a yes or a no is wanted. `messages` came before it."""

    @property
    def messages(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def confirm(self) -> bool: ...


class Prompts(Protocol):
    """The questions that are open. `listened` tells whether there is somebody to ask; `show` is called with the id,
    the host and the question of a new one."""

    listened: Callable[[], bool]
    show: Callable[[str, str, Question], None]

    def answer(self, ident: str, text: str) -> None:
        """Raises NoSuchPrompt."""

    def cancel(self, ident: str) -> None:
        """Raises NoSuchPrompt."""

    def nobody_listens(self) -> None:
        """As if all were cancelled."""


class OtherHosts(Protocol):
    """`on_change` is called when `told` has changed."""

    on_change: Callable[[], object]

    @property
    def prompts(self) -> Prompts: ...

    def told(self) -> list[dict[str, Any]]:
        """One a connection: `host`, `state`, `user`, `seconds`, `channels`."""

    def disconnect(self, host: str) -> None:
        """End its connections."""
