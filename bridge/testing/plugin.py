"""The kit as pytest fixtures: `home`, `start`, `start_shared`, `gate`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from .bridge import Bridge
from .gate import Gate
from .home import Home
from .script import Rule

HOST = "localhost"


class Start(Protocol):
    """Starts a bridge; see `start`."""

    def __call__(
        self,
        *rules: Rule,
        limits: Mapping[str, float | str] | None = None,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        handshake: bool = True,
    ) -> Bridge: ...


@contextmanager
def starting(home: Home) -> Iterator[Start]:
    """A `start` for bridges in `home`; leaving it ends them all, and checks that nothing is left of them."""
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
            bridge = stack.enter_context(Bridge(home, limits=limits, environ=environ, arguments=arguments))
            if handshake:
                bridge.front_end.expect("init", version=1)
                bridge.front_end.init(HOST)
            return bridge

        yield start


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Directories without a package, for the bridges of this test."""
    return Home(tmp_path / "home")


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Starts bridges in `home`, with `rules` as its package `test`, and exchanges `init` with them.

    Each is ended after the test, and must then leave nothing behind.
    """
    with starting(home) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for bridges that all tests of a module share: a start costs more than most of them."""
    with starting(Home(tmp_path_factory.mktemp("shared") / "home")) as start:
        yield start


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    """Makes gates for fake helpers to wait at."""
    made: list[Gate] = []

    def make() -> Gate:
        made.append(Gate(tmp_path / f"gate-{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.close()
