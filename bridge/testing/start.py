"""Starting bridges for one test, or for several."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from .bridge import SPANBRIDGE, Bridge
from .gate import Gate
from .home import Home
from .script import Rule

HOST = "localhost"


class Start(Protocol):
    """Starts a bridge; see `starting`."""

    def __call__(
        self,
        *rules: Rule,
        limits: Mapping[str, float | str] | None = None,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        handshake: bool = True,
    ) -> Bridge: ...


@contextmanager
def starting(home: Home, command: Sequence[str] = (str(SPANBRIDGE),)) -> Iterator[Start]:
    """A `start` for bridges in `home`; leaving it ends them all, and checks that nothing is left of them.

    `rules` become its package `test`, and `init` is exchanged with it.
    """
    with ExitStack() as stack:

        def start(
            *rules: Rule,
            limits: Mapping[str, float | str] | None = None,
            environ: Mapping[str, str] | None = None,
            arguments: Sequence[str] = (),
            handshake: bool = True,
        ) -> Bridge:
            if rules:
                home.package("test", *rules)
            bridge = stack.enter_context(
                Bridge(home, limits=limits, environ=environ, arguments=arguments, command=command)
            )
            if handshake:
                bridge.front_end.expect("init", version=1)
                bridge.front_end.init(HOST)
            return bridge

        yield start


@contextmanager
def gates(directory: Path) -> Iterator[Callable[[], Gate]]:
    """Makes gates in `directory`, until it is left."""
    with ExitStack() as stack:
        count = iter(range(1_000_000))

        def make() -> Gate:
            made = Gate(directory / f"gate-{next(count)}")
            stack.callback(made.close)
            return made

        yield make


def command_of(text: str | None) -> list[str]:
    """The command under test, from the words of a shell; the one beside the interpreter where there is no text."""
    return shlex.split(text or "") or [str(SPANBRIDGE)]
