"""A server for bench.served.http: `python -m bench.served.http_server LISTENING_FD`.

/small          a small answer, then the end of the connection
/large?BYTES    a body of so many bytes, with its length
/wait           no answer until so many requests wait, then one each: /wait?COUNT
anything else   a WebSocket that says as much as it hears
"""

import base64
import hashlib
import re
import socket
import struct
import sys
from io import IOBase

MIB = 1 << 20
SMALL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\nServer: bench\r\n\r\n"
    b'{"hello":"12345678"}'
)


def main(fd: int) -> None:
    listening = socket.socket(fileno=fd)
    waiting: list[socket.socket] = []
    while True:
        sock, _ = listening.accept()
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65_536)
        path = head.split(b" ")[1]
        number = int(path.partition(b"?")[2] or b"0")
        if path.startswith(b"/wait"):
            waiting.append(sock)
            if len(waiting) == number:
                for each in waiting:
                    each.sendall(SMALL)
                    each.close()
                waiting.clear()
            continue
        with sock:
            try:
                if path == b"/small":
                    sock.sendall(SMALL)
                elif path.startswith(b"/large"):
                    large(sock, number)
                else:
                    talk(sock, head)
            except OSError:
                continue  # the bridge has ended


def large(sock: socket.socket, nbytes: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % nbytes)
    piece = bytes(MIB)
    for _ in range(nbytes // MIB):
        sock.sendall(piece)


def talk(sock: socket.socket, head: bytes) -> None:
    found = re.search(rb"(?i)sec-websocket-key: *([^\r]+)", head)
    if found is None:
        return
    magic = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(found[1] + magic).digest())  # noqa: S324 - RFC 6455 says so
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
    )
    with sock.makefile("rb", buffering=MIB) as stream:
        while (size := read_message(stream)) is not None:
            if size < 126:
                told = struct.pack("!BB", 0x82, size)
            elif size < 65_536:
                told = struct.pack("!BBH", 0x82, 126, size)
            else:
                told = struct.pack("!BBQ", 0x82, 127, size)
            sock.sendall(told + bytes(size))


def read_message(stream: IOBase) -> int | None:
    """How long the next message is; None: there is none."""
    head = stream.read(2)
    if len(head) < 2 or head[0] & 15 == 8:
        return None
    size = head[1] & 127
    if size == 126:
        (size,) = struct.unpack("!H", stream.read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", stream.read(8))
    stream.read(4 + size)
    return int(size)


if __name__ == "__main__":
    main(int(sys.argv[1]))
