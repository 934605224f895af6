"""The kernel's packet filter, as far as seccomp filters use it: what a program decides of a call."""

import struct
from typing import NamedTuple

from spanbridge.extensions.sandbox.calls import AUDIT_ARCH


class Seen(NamedTuple):
    """A system call."""

    machine: str
    number: int
    arguments: tuple[int, ...]

    @property
    def data(self) -> bytes:
        """struct seccomp_data."""
        arguments = [*self.arguments, *[0] * 6][:6]
        return struct.pack(
            "=iIQ6Q", self.number, AUDIT_ARCH[self.machine], 0, *[each % (1 << 64) for each in arguments]
        )


def verdict(code: bytes, seen: Seen) -> int:
    """What the program returns."""
    steps = list(struct.iter_unpack("=HBBI", code))
    assert len(steps) <= 4096
    data, at, value = seen.data, 0, 0
    while True:
        kind, yes, no, operand = steps[at]
        at += 1
        if kind == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        elif kind == 0x54:
            value &= operand
        elif kind == 0x15:
            at += yes if value == operand else no
        elif kind == 0x35:
            at += yes if value >= operand else no
        elif kind == 0x06:
            return int(operand)
        else:
            raise AssertionError(f"an instruction {kind:#x}")
