"""Busy pipes are enlarged, so many at once, and each that ends makes room for another (bridge/wire/link.py)."""

import fcntl
import os

from spanbridge.wire.pipe_budget import PipeBudget

from .test_link_reading import Reader
from .turns import give, pair, pipe, take

PIPE = 65_536
LARGE = 262_144


def size(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def fill(reader: Reader, far: int) -> None:
    """A turn in which there is as much as is asked for."""
    while give(far, bytes(PIPE)):
        pass
    reader.link.resume()
    reader.turns.turn()


def test_a_pipe_that_fills_a_read_is_enlarged() -> None:
    near, far = pipe(PIPE)
    reader = Reader(near, read_bytes=LARGE, budget=PipeBudget(1, LARGE))
    give(far, b"little")
    reader.link.resume()
    reader.turns.turn()
    assert size(far) == PIPE
    fill(reader, far)
    assert size(far) == LARGE
    os.close(far)
    reader.close()


def test_a_pipe_that_takes_only_part_of_a_write_is_enlarged() -> None:
    near, far = pipe(PIPE)
    reader = Reader(near, budget=PipeBudget(1, LARGE))
    fcntl.fcntl(reader.far, fcntl.F_SETPIPE_SZ, PIPE)
    reader.link.put(bytes(LARGE))
    reader.turns.turn()
    assert size(reader.far) == LARGE
    assert reader.link.queued == 0
    os.close(far)
    reader.close()


def test_so_many_at_once() -> None:
    budget = PipeBudget(2, LARGE)
    pipes = [pipe(PIPE) for _ in range(4)]
    readers = [Reader(near, read_bytes=LARGE, budget=budget) for near, _ in pipes]
    for reader, (_, far) in zip(readers, pipes, strict=True):
        fill(reader, far)
    assert [size(far) for _, far in pipes] == [LARGE, LARGE, PIPE, PIPE]

    readers[0].link.close_in()
    readers[2].link.close_in()  # was not enlarged, gives nothing back
    more = [pipe(PIPE) for _ in range(2)]
    readers += [Reader(near, read_bytes=LARGE, budget=budget) for near, _ in more]
    for reader, (_, far) in zip(readers[4:], more, strict=True):
        fill(reader, far)
    assert [size(far) for _, far in more] == [LARGE, PIPE]
    for reader in readers:
        reader.close()
    for _, far in (*pipes, *more):
        os.close(far)


def test_both_directions_of_a_link_are_given_back() -> None:
    budget = PipeBudget(2, LARGE)
    for _ in range(5):
        near, far = pipe(PIPE)
        reader = Reader(near, read_bytes=LARGE, budget=budget)
        fcntl.fcntl(reader.far, fcntl.F_SETPIPE_SZ, PIPE)
        reader.link.put(bytes(LARGE))
        fill(reader, far)
        assert (size(far), size(reader.far)) == (LARGE, LARGE)
        os.close(far)
        reader.close()


def test_what_is_large_already_and_what_is_no_pipe_cost_nothing() -> None:
    budget = PipeBudget(1, PIPE)
    near, far = pipe(LARGE)
    one, other = pair()
    assert not budget.enlarge(near)
    assert not budget.enlarge(one)
    small_near, small_far = pipe()
    assert budget.enlarge(small_near)
    assert size(small_far) == PIPE
    for fd in (near, far, one, other, small_near, small_far):
        os.close(fd)


def test_a_socket_works_without() -> None:
    near, far = pair()
    reader = Reader(near, read_bytes=LARGE, budget=PipeBudget(1, LARGE))
    fill(reader, far)
    assert reader.chunks
    assert take(reader.far, 1) is None
    os.close(far)
    reader.close()
