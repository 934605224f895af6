"""Frames of a client, written (RFC 6455, 5.2)."""

import os
import struct

from spanbridge.protocol.frames import Buffer

from ...stand_ins import import_websockets

import_websockets()

try:
    from websockets.speedups import apply_mask
except ImportError:  # it was installed without its C part
    from websockets.utils import apply_mask


def masked_frame(opcode: int, payload: Buffer) -> tuple[bytes, bytes]:
    """Head and payload: `Frame.serialize` would copy a large one twice more."""
    size, mask = len(payload), os.urandom(4)
    first, masked = 0x80 | opcode, 0x80
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + mask, apply_mask(payload, mask)
