"""Scripted helpers of one running bridge."""

from collections.abc import Mapping
from typing import Any

from .bridge import Bridge
from .script import Steps, helper_rule, init, serve
from .tracebacks import HIDE

__tracebackhide__ = HIDE


class FakeHelper:
    """A rule whose helpers run a script. `name` is that of its package."""

    def __init__(self, bridge: Bridge, name: str) -> None:
        self._bridge = bridge
        self.name = name

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What its processes have noted, in order."""
        return [note for note in self._bridge.notes if self.name in note["argv"]]

    def wait_note(self, text: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until its processes have noted `text` so many times; those notes. Raises Hang."""
        return self._bridge.wait_note(text, count, of=self.name)


class FakeHelpers:
    """Registers them: `fake_helper("stocks", [init(), serve({"open": [ready(), reply(b"42")]})])`."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._count = 0

    def __call__(
        self, match: str | Mapping[str, Any], steps: Steps | None = None, /, *arguments: str, **members: Any
    ) -> FakeHelper:
        """A helper for opens of a payload, or for those that `match`. Without steps it answers, and sends data back.

        `arguments` go to its `spawn`, and may have variables; `members` to its rule. The bridge has read the rule when
        this returns; no process runs before the first open.
        """
        self._count += 1
        name = f"fake-{self._count}"
        wanted = {"payload": match} if isinstance(match, str) else match
        script = [init(), serve()] if steps is None else steps
        self._bridge.package(name, helper_rule(wanted, script, name, *arguments, **members))
        return FakeHelper(self._bridge, name)
