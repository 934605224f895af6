"""Starting bridges for one test, or for several."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

from .bridge import SPANBRIDGE, Bridge
from .gate import Gate
from .home import Home
from .script import Rule
from .tracebacks import HIDE

__tracebackhide__ = HIDE

HOST: Final = "localhost"
VARIABLE: Final = "SPANBRIDGE_TEST_COMMAND"


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
    """The command under test, from the words of a shell: `text`, or what the environment says, or our own spanbridge.

    Raises ValueError, which says what is wrong with it.
    """
    ours = str(SPANBRIDGE) if SPANBRIDGE.exists() else SPANBRIDGE.name
    words = shlex.split(text or os.environ.get(VARIABLE, "")) or [ours]
    program = shutil.which(words[0])
    if program is None:
        raise ValueError(f"{words[0]}: no such command")
    return [os.path.abspath(program), *words[1:]]
