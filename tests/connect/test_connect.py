"""From a target to a connected socket: payloads/connect."""

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from spanbridge.payloads.base import Services
from spanbridge.payloads.connect import names
from spanbridge.payloads.connect.connect import connect, connect_at_once, resolver_of
from spanbridge.payloads.connect.problems import not_connected
from spanbridge.payloads.connect.target import Target
from spanbridge.protocol.problems import Problem

from .session import in_session


def refusal(target: Target, **limits: Any) -> Problem:
    """The problem with which connecting ends."""
    problems: list[Problem] = []

    async def test(services: Services) -> None:
        with pytest.raises(Problem) as caught:
            await connect(target, services)
        problems.append(caught.value)

    in_session(test, **limits)
    return problems[0]


def reached(target: Target, **limits: Any) -> Any:
    """The name of the peer that is connected to."""
    peers: list[Any] = []

    async def test(services: Services) -> None:
        with closing(await connect(target, services)) as sock:
            assert not sock.getblocking()
            assert not sock.get_inheritable()
            peers.append(sock.getpeername())
            if sock.family != socket.AF_UNIX:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    in_session(test, **limits)
    return peers[0]


def listening(address: str, port: int = 0, family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.listen()
    return sock


def has_ipv6() -> bool:
    try:
        listening("::1", family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with listening("127.0.0.1") as sock:
        yield sock


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with listening("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    assert isinstance(port, int)
    return port


# Unix sockets


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert reached(Target(unix=path)) == path


def test_a_unix_socket_for_records(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        assert reached(Target(unix=path, kind=socket.SOCK_SEQPACKET)) == path


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert os.fsencode(reached(Target(unix=os.fsdecode(path)))) == path


def test_a_backlog_that_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        target = Target(unix=path)
        first = connect_at_once(target)
        assert first is not None

        async def test(services: Services) -> None:
            assert connect_at_once(target) is None
            async with anyio.create_task_group() as tasks:

                async def accept_later() -> None:
                    await anyio.lowlevel.checkpoint()
                    server.accept()[0].close()

                tasks.start_soon(accept_later)
                (await connect(target, services)).close()

        with first:
            in_session(test)


def test_a_backlog_that_stays_full_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        with connect_at_once(Target(unix=path)) or server:
            problem = refusal(Target(unix=path), connect_seconds=0.05)
    assert problem.code == "timeout"
    assert problem.message == f"{path}: not connected within 0.05 seconds (connect_seconds)"


def test_a_unix_socket_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(left))
    for path, code, words in (
        (tmp_path / "none", "not-found", "No such file or directory"),
        (tmp_path / "file" / "below", "not-found", "Not a directory"),
        (tmp_path / "file", "not-found", "Connection refused"),
        (left, "not-found", "Connection refused"),
        (tmp_path / ("x" * 120), "not-found", "File name too long"),
    ):
        problem = refusal(Target(unix=str(path)))
        assert (problem.code, problem.message) == (code, f"{path}: {words}")


def test_another_kind_of_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        assert refusal(Target(unix=path)).code == "internal-error"


# TCP


def test_an_ip_literal(server: socket.socket) -> None:
    name = server.getsockname()
    assert reached(Target(address="127.0.0.1", port=name[1])) == name


def test_localhost_is_both_of_its_addresses_without_a_resolver(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names.Resolver, "_look_up", None)
    assert reached(Target(port=server.getsockname()[1]))[0] == "127.0.0.1"
    if has_ipv6():
        with listening("::1", family=socket.AF_INET6) as other:
            assert reached(Target(address="LocalHost", port=other.getsockname()[1]))[0] == "::1"


def test_nobody_listens(closed_port: int) -> None:
    problem = refusal(Target(address="127.0.0.1", port=closed_port))
    assert (problem.code, problem.message) == ("not-found", f"127.0.0.1:{closed_port}: Connection refused")


def answer(*found: tuple[str, int]) -> Any:
    """A getaddrinfo that finds these addresses for each name, and nothing for a literal."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, **how: Any) -> Any:
        if how.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(host, port, **how)
        assert threading.current_thread() is not threading.main_thread()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in found]

    return getaddrinfo


def test_all_addresses_of_a_name_are_tried(
    server: socket.socket, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = server.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", answer(("127.0.0.1", closed_port), name))
    assert reached(Target(address="a.name", port=name[1])) == name


def test_no_address_of_a_name_answers(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answer(("127.0.0.1", closed_port), ("127.0.0.2", closed_port)))
    problem = refusal(Target(address="a.name", port=80))
    assert (problem.code, problem.message) == ("not-found", "a.name:80: Connection refused")


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: Any, port: Any, **how: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    problem = refusal(Target(address="no.such.name", port=80))
    assert (problem.code, problem.message) == ("not-found", "no.such.name:80: Name or service not known")


@pytest.mark.parametrize("name", ["a..name", "x" * 64 + "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_what_is_no_name(name: str) -> None:
    problem = refusal(Target(address=name, port=80))
    assert problem.code == "not-found"


def test_a_resolver_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    real = socket.getaddrinfo

    def stuck(host: Any, port: Any, **how: Any) -> Any:
        if how.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(host, port, **how)
        go_on.wait()
        return real("127.0.0.1", port, **how)

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    try:
        problem = refusal(Target(address="a.name", port=80), connect_seconds=0.05)
    finally:
        go_on.set()
    assert (problem.code, "a.name:80" in problem.message) == ("timeout", True)


def test_names_that_are_looked_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits for the other, though nobody waits for that any more."""
    asked, go_on = list[bytes](), threading.Event()

    def slow(host: Any, port: Any, **how: Any) -> Any:
        if how.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        asked.append(host)
        go_on.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    hit: dict[str, int] = {}

    async def test(services: Services) -> None:
        resolver = services.once(resolver_of)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(resolver.addresses, "first.name", 80)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resolver.addresses, "second.name", 80)
            await anyio.wait_all_tasks_blocked()
            assert [each.name for each in threading.enumerate()].count("look-up") == 1
            hit.update(services.context.log.limits_hit)
            go_on.set()
        assert asked == [b"first.name", b"second.name"]

    try:
        in_session(test, lookups=1)
    finally:
        go_on.set()
    assert hit == {"lookups": 1}


def test_nothing_is_left_of_a_connection_that_is_cancelled(tmp_path: Path) -> None:
    """To a port whose backlog is full, the handshake does not end."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            assert filler.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS)

        async def test(services: Services) -> None:
            before = os.listdir("/proc/self/fd")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connect, Target(address="127.0.0.1", port=server.getsockname()[1]), services)
                await anyio.wait_all_tasks_blocked()
                assert len(os.listdir("/proc/self/fd")) == len(before) + 1
                tasks.cancel_scope.cancel()
            assert len(os.listdir("/proc/self/fd")) == len(before)

        in_session(test)


# What is told


@pytest.mark.parametrize(
    ("failures", "code", "message"),
    [
        ([("::1", errno.ENETUNREACH), ("10.0.0.1", errno.ECONNREFUSED)], "not-found", None),
        ([("::1", errno.EADDRNOTAVAIL), ("10.0.0.1", errno.ETIMEDOUT)], "timeout", None),
        ([("::1", errno.EHOSTUNREACH)], "no-host", "h:80: No route to host"),
        ([("::1", errno.EACCES), ("::2", errno.ECONNREFUSED)], "access-denied", None),
        ([("::1", errno.EMFILE)], "internal-error", "h:80: Too many open files"),
        (
            [("::1", errno.ECONNREFUSED), ("::2", errno.ENETUNREACH), ("::3", errno.ECONNREFUSED)],
            "not-found",
            "h:80: ::1, ::3: Connection refused; ::2: Network is unreachable",
        ),
    ],
)
def test_of_many_failures_the_most_telling_is_told(
    failures: list[tuple[str, int]], code: str, message: str | None
) -> None:
    errors = [(address, OSError(number, os.strerror(number))) for address, number in failures]
    problem = not_connected(Target(address="h", port=80), errors)
    assert problem.code == code
    if message is not None:
        assert problem.message == message


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(unix="/run/\udcffx"), "/run/\N{REPLACEMENT CHARACTER}x"),
        (Target(address="::1", port=80), "[::1]:80"),
        (Target(port=80), "localhost:80"),
    ],
)
def test_how_a_target_is_named(target: Target, text: str) -> None:
    assert str(target) == text
