"""The kit as a pytest plugin (docs/testing.md). It is loaded wherever spanbridge is installed.

    bridge, front_end, fake_helper    a running bridge, the other end of its stdin and stdout, helpers that do as told
    spanbridge_*                      what these are made of

A session that uses none of them pays for this file alone: the rest is imported by the fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .bridge import Bridge
    from .front_end import FrontEnd
    from .gate import Gate
    from .home import Home
    from .scripted import FakeHelpers
    from .start import HOST, Start, starting

    __all__ = ["HOST", "Start", "starting"]

_LAZY = ("HOST", "Start", "starting")


def __getattr__(name: str) -> Any:
    """`from spanbridge.testing.plugin import Start`, for annotations."""
    if name in _LAZY:
        from . import start

        return getattr(start, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("spanbridge").addoption(
        "--spanbridge-command",
        metavar="COMMAND",
        help="the bridge under test, as words of a shell (default: the spanbridge beside this Python; "
        "also: SPANBRIDGE_TEST_COMMAND)",
    )


# The three


@pytest.fixture
def bridge(
    spanbridge_home: Home,
    spanbridge_start: Start,
    spanbridge_packages: Mapping[str, Path | Mapping[str, Any]],
    spanbridge_options: dict[str, Any],
) -> Bridge:
    """A running bridge on temporary packages, which has exchanged `init` with `front_end`.

    It ends with the test, which fails if a process that it started is left.
    """
    for name, package in spanbridge_packages.items():
        spanbridge_home.add(name, package)
    if wrong := spanbridge_home.defects():
        pytest.fail("\n".join(wrong), pytrace=False)
    return spanbridge_start(**spanbridge_options)


@pytest.fixture
def front_end(bridge: Bridge) -> FrontEnd:
    """The front end's side of `bridge`: `open`, `send`, `control`, `expect`, `data`."""
    return bridge.front_end


@pytest.fixture
def fake_helper(bridge: Bridge) -> FakeHelpers:
    """Registers a scripted helper with `bridge`: `fake_helper("payload", [steps])`."""
    from .scripted import FakeHelpers

    return FakeHelpers(bridge)


# What a project may override


@pytest.fixture
def spanbridge_packages() -> Mapping[str, Path | Mapping[str, Any]]:
    """Packages that `bridge` finds when it starts: by name, a directory or the content of a manifest. Override it."""
    return {}


@pytest.fixture
def spanbridge_options() -> dict[str, Any]:
    """How `bridge` is started: `limits`, `environ`, `arguments`, `handshake`. Override it."""
    return {}


# What they are made of


@pytest.fixture(scope="session")
def spanbridge_command(pytestconfig: pytest.Config) -> list[str]:
    """The command under test."""
    from .start import command_of

    try:
        return command_of(pytestconfig.getoption("spanbridge_command"))
    except ValueError as error:
        raise pytest.UsageError(f"the bridge under test: {error}") from None


@pytest.fixture
def spanbridge_home(tmp_path: Path) -> Home:
    """Directories without a package, for the bridges of this test."""
    from .home import Home

    return Home(tmp_path / "home")


@pytest.fixture
def spanbridge_start(spanbridge_home: Home, spanbridge_command: list[str]) -> Iterator[Start]:
    """Starts bridges in `spanbridge_home`, with `rules` as its package `test`, and exchanges `init` with them.

    Each is ended after the test, and must then leave nothing behind.
    """
    from .start import starting

    with starting(spanbridge_home, spanbridge_command) as start:
        yield start


@pytest.fixture(scope="module")
def spanbridge_start_shared(tmp_path_factory: pytest.TempPathFactory, spanbridge_command: list[str]) -> Iterator[Start]:
    """The same for bridges that all tests of a module share: a start costs more than most of them."""
    from .home import Home
    from .start import starting

    with starting(Home(tmp_path_factory.mktemp("shared") / "home"), spanbridge_command) as start:
        yield start


@pytest.fixture
def spanbridge_gate(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    """Makes gates for fake helpers to wait at."""
    from .start import gates

    with gates(tmp_path) as make:
        yield make
