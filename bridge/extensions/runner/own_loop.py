"""The event loop of an extension, which most never ask for: what it takes in memory is theirs to save.

`asyncio` is loaded before the processes of extensions are forked, and then put out of sight: who imports it finds it
again, and with it an event loop that counts as running, as it does for whoever is called by one.
"""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any, Final

_NAME: Final = "asyncio"


class OwnLoop:
    """Used by the main thread alone. Made before the fork: to look through all modules afterwards would make what they
    lie on memory of each process. From `watch` to `leave` there is one as soon as asyncio is imported."""

    def __init__(self) -> None:
        self._made: asyncio.AbstractEventLoop | None = None
        self._left = False
        self._spec = asyncio.__spec__
        within = f"{_NAME}."
        self._hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if f"{name}.".startswith(within)}

    @property
    def wanted(self) -> bool:
        """Whether somebody has asked for it."""
        return self._made is not None

    def watch(self) -> None:
        sys.meta_path.insert(0, self)

    def leave(self) -> None:
        """Whoever imports asyncio from now on finds it, and nothing more."""
        self._left = True
        if self._made is not None:
            asyncio._set_running_loop(None)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """In the event loop, until it is over. Raises what it raises."""
        loop = self._made
        with asyncio.Runner(loop_factory=None if loop is None else lambda: loop) as runner:
            runner.run(work)

    # As a finder and a loader of modules

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _NAME:
            return None
        sys.meta_path.remove(self)
        sys.modules.update(self._hidden)
        if not self._left:
            self._made = asyncio.new_event_loop()
            asyncio._set_running_loop(self._made)
        del sys.modules[_NAME]  # it would be loaded anew, if it were there already
        return spec_from_loader(_NAME, self, is_package=True)  # type: ignore[arg-type]  # a finder that loads

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._hidden[_NAME]

    def exec_module(self, module: ModuleType) -> None:
        """It was run long ago, by the loader that it had then."""
        module.__spec__ = self._spec
