"""Callbacks straight from epoll (bridge/wire/poller.py)."""

import os
from collections.abc import Callable, Iterator

import pytest

from .turns import Turns, give, pair, pipe, take


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.close()


@pytest.fixture
def ready() -> Iterator[Callable[[], int]]:
    """Makes descriptors that can be read at once."""
    made: list[int] = []

    def make() -> int:
        near, far = pipe()
        give(far, b"x")
        made.extend((near, far))
        return near

    yield make
    for fd in made:
        os.close(fd)


def test_a_reader_and_a_writer_of_one_descriptor(turns: Turns) -> None:
    near, far = pair()
    told: list[str] = []
    turns.poller.watch_read(near, lambda: told.append("read"))
    turns.poller.watch_write(near, lambda: told.append("write"))
    turns.turn()
    assert told == ["write"]
    give(far, b"x")
    turns.turn()
    assert sorted(told[1:]) == ["read", "write"]
    turns.poller.watch_write(near, None)
    turns.turn()
    assert told[3:] == ["read"]
    turns.poller.watch_read(near, None)
    turns.turn()
    assert len(told) == 4
    os.close(near)
    os.close(far)


def test_no_more_is_harmless_where_nothing_was(turns: Turns) -> None:
    near, far = pipe()
    turns.poller.watch_read(near, None)
    turns.poller.watch_write(far, None)
    turns.turn()
    os.close(near)
    os.close(far)


def test_a_refused_descriptor_is_forgotten(turns: Turns) -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    for _ in range(2):
        with pytest.raises(PermissionError):
            turns.poller.watch_read(fd, lambda: None)
    os.close(fd)
    near, far = pipe()  # one of them has the same number
    told: list[str] = []
    turns.poller.watch_read(near, lambda: told.append("read"))
    give(far, b"x")
    turns.turn()
    assert told == ["read"]
    turns.poller.watch_read(near, None)
    os.close(near)
    os.close(far)


def test_one_callback_takes_another_s_descriptor_away(turns: Turns, ready: Callable[[], int]) -> None:
    fds = [ready(), ready()]
    told: list[int] = []

    def first_takes_all(mine: int) -> Callable[[], None]:
        def callback() -> None:
            told.append(mine)
            for fd in fds:
                turns.poller.watch_read(fd, None)

        return callback

    for fd in fds:
        turns.poller.watch_read(fd, first_takes_all(fd))
    turns.turn(3)
    assert len(told) == 1


def test_a_writer_stops_the_reader_of_its_own_descriptor(turns: Turns) -> None:
    near, far = pair()
    give(far, b"x")
    told: list[str] = []

    def write() -> None:
        told.append("write")
        turns.poller.watch_read(near, None)
        turns.poller.watch_write(near, None)

    turns.poller.watch_read(near, lambda: told.append("read"))
    turns.poller.watch_write(near, write)
    turns.turn(3)
    assert told == ["write"]
    os.close(near)
    os.close(far)


@pytest.mark.parametrize("by", ["the loop", "the poller"])
def test_a_number_that_is_used_anew_in_the_same_turn(by: str, turns: Turns) -> None:
    """What epoll said of the old descriptor is not taken for news of the new one, whoever watches that."""
    watch: Callable[..., object] = turns.loop.add_reader if by == "the loop" else turns.poller.watch_read
    pipes = [pipe(), pipe()]
    told: list[str] = []
    fresh: list[int] = []

    def first(mine: int) -> Callable[[], None]:
        def callback() -> None:
            told.append("old")
            turns.poller.watch_read(mine, None)
            for near, _ in pipes:
                if near != mine and not fresh:
                    turns.poller.watch_read(near, None)
                    os.close(near)
                    fresh.extend(pipe())
                    assert fresh[0] == near
                    watch(near, lambda: told.append("new"))

        return callback

    for near, far in pipes:
        give(far, b"x")
        turns.poller.watch_read(near, first(near))
    turns.turn(3)
    assert told == ["old"]
    if by == "the loop":
        turns.loop.remove_reader(fresh[0])
    else:
        turns.poller.watch_read(fresh[0], None)
    for fd in {*fresh, *(fd for ends in pipes for fd in ends)}:
        os.close(fd)


def test_an_error_in_one_callback_does_not_keep_the_others(turns: Turns, ready: Callable[[], int]) -> None:
    told: list[int] = []

    def fail(fd: int) -> None:
        told.append(take(fd, 1) is not None)
        raise RuntimeError("no")

    for fd in (ready(), ready(), ready()):
        turns.poller.watch_read(fd, lambda fd=fd: fail(fd))  # type: ignore[misc]
    with pytest.raises(AssertionError, match="callback"):
        turns.turn()
    assert len(told) == len(turns.errors) == 3
    turns.errors.clear()


def test_the_other_side_of_a_pipe_goes_away(turns: Turns) -> None:
    """Both ends are told: who reads of the end of file, who writes that nobody reads."""
    told: list[str] = []
    near, far = pipe()
    turns.poller.watch_read(near, lambda: told.append("read"))
    os.close(far)
    turns.turn()
    turns.poller.watch_read(near, None)
    os.close(near)
    near, far = pipe()
    while give(far, bytes(4_096)):
        pass
    turns.poller.watch_write(far, lambda: told.append("write"))
    turns.turn()
    assert told == ["read"]
    os.close(near)
    turns.turn()
    assert told == ["read", "write"]
    turns.poller.watch_write(far, None)
    os.close(far)


def test_the_loop_s_own_descriptors_timers_and_calls_go_on_beside(turns: Turns, ready: Callable[[], int]) -> None:
    told: list[str] = []
    mine, loops = ready(), ready()
    turns.poller.watch_read(mine, lambda: told.append("mine"))
    turns.loop.add_reader(loops, lambda: told.append("loop's"))
    turns.loop.call_later(0, lambda: told.append("timer"))
    turns.loop.call_soon(lambda: told.append("call"))
    turns.turn()
    assert sorted(told) == ["call", "loop's", "mine", "timer"]
    turns.poller.watch_read(mine, None)
    turns.loop.remove_reader(loops)


def test_more_descriptors_than_one_turn_takes(turns: Turns, ready: Callable[[], int]) -> None:
    """None starves: those of a turn go to the end of epoll's list."""
    told: set[int] = set()
    fds = [ready() for _ in range(300)]
    for fd in fds:
        turns.poller.watch_read(fd, lambda fd=fd: told.add(fd))  # type: ignore[misc]
    turns.turn(2)
    assert told == set(fds)
    for fd in fds:
        turns.poller.watch_read(fd, None)
