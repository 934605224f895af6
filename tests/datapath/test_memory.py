"""What waits keeps about its own size in memory, not the chunks that it was read in."""

from collections.abc import Callable

import pytest

from spanbridge.testing import processes
from spanbridge.testing.frames import encode
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve, wait

ROUNDS = 250
MEBIBYTE = 1 << 20


@pytest.mark.parametrize("size", [3_000, 5_000, 20_000])
def test_data_for_a_helper_that_is_not_ready_lets_go_of_the_rest_of_its_chunk(
    start: Start, gate: Callable[[], Gate], size: int
) -> None:
    up = gate()
    bridge = start(helper_rule({"payload": "slow"}, [wait(up), init(), serve()]))
    front = bridge.front_end
    front.open("n", "null")
    front.expect("ready", "n")
    front.open("w", "slow")
    swallowed = encode("n", bytes(250_000))
    front.write(swallowed * 8)  # so that pipes and buffers are what they will be
    front.sync()
    before = processes.resident_bytes(bridge.pid)
    for number in range(ROUNDS):
        front.write(encode("w", b"%5d" % number * (size // 5)) + swallowed)
    front.sync()
    grown = processes.resident_bytes(bridge.pid) - before
    assert grown <= 3 * ROUNDS * size + 4 * MEBIBYTE
    up.release()
    assert front.data("w", ROUNDS * size) == b"".join(b"%5d" % number * (size // 5) for number in range(ROUNDS))
