"""Frames of a WebSocket, the server's side (RFC 6455, 5.2): written plainly, good ones and bad ones."""

import base64
import hashlib
import struct

from .server import Peer, fields_of

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept(peer: Peer, *headers: str) -> str:
    """Answer the handshake that comes; the accept value."""
    answer = switching(peer, *headers)
    peer.send(answer)
    return fields_of(answer.decode())["Sec-WebSocket-Accept"]


def switching(peer: Peer, *headers: str) -> bytes:
    """The answer to the handshake that comes."""
    value = answer_to(fields_of(peer.head())["Sec-WebSocket-Key"])
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {value}", *headers, "", ""]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines]).encode()


def answer_to(key: str) -> str:
    magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(f"{key}{magic}".encode()).digest()).decode()  # noqa: S324 - the RFC says so


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bool = False) -> bytes:
    first = fin << 7 | reserved << 4 | opcode
    size = len(payload)
    masked = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    return head + (b"\0\0\0\0" if mask else b"") + payload


def close_of(code: int, reason: str = "") -> bytes:
    """The payload of a close frame."""
    return struct.pack("!H", code) + reason.encode()


def read_frame(peer: Peer) -> tuple[int, bytes]:
    """The next frame of the client, which must be whole and masked: opcode and payload."""
    first, second = peer.read(2)
    assert first & 0xF0 == 0x80, "a fragment, or reserved bits"
    assert second & 0x80, "a frame that is not masked"
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", peer.read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", peer.read(8))
    mask = peer.read(4)
    payload = peer.read(size)
    pattern = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(payload) ^ int.from_bytes(pattern)
    return first & 0x0F, plain.to_bytes(size)
