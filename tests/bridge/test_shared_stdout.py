"""Whether a descriptor blocks belongs to whoever shares the open file, too: that must not hold up the session."""

import os
import subprocess

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.home import Home


def test_somebody_sets_our_stdout_blocking_while_it_is_full(home: Home) -> None:
    """The bridge goes on reading; what it could not write is there once somebody reads."""
    readable, writable = os.pipe()
    with subprocess.Popen(
        [SPANBRIDGE], stdin=subprocess.PIPE, stdout=writable, stderr=subprocess.DEVNULL, env=home.environ
    ) as bridge:
        assert bridge.stdin is not None
        out = open(readable, "rb")  # noqa: SIM115
        bridge.stdin.write(encode_control({"command": "init", "version": 1, "host": "localhost"}))
        bridge.stdin.write(encode_control({"command": "open", "channel": "a", "payload": "echo", "binary": "raw"}))
        bridge.stdin.flush()
        told = b""
        while b'"ready"' not in told:
            told += os.read(readable, 65_536)
        os.set_blocking(writable, True)  # as a program that has inherited it may do
        block = encode("a", b"x" * 60_000)
        for _ in range(20):
            bridge.stdin.write(block)
        bridge.stdin.flush()
        os.set_blocking(writable, True)
        bridge.stdin.write(encode_control({"command": "done", "channel": "a"}))
        bridge.stdin.close()
        os.close(writable)
        rest = out.read()
        out.close()
        assert rest.count(b"x") == 20 * 60_000
    assert bridge.returncode == 0
