"""Servers at unix sockets in a directory: `python -I server.py DIRECTORY`. Ends with its stdin.

http       POST: the body back, with the header X-Key of the request; GET: half an answer, and the end
echo       what comes, and the end once that has ended
websocket  each message back
"""

import os
import socketserver
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, unix_serve


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        self.send_response(200)
        self.send_header("X-Key", self.headers["X-Key"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(self.headers["X-Key"].encode())
        self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def address_string(self) -> str:
        return "front end"

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(1 << 16):
                self.request.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # the channel was closed


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        """The other end went away meanwhile."""


def back(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):  # the channel was closed
        for message in connection:
            connection.send(message)


def main() -> None:
    directory = Path(sys.argv[1])
    os.umask(0)  # whoever the bridge runs as
    servers = [Server(str(directory / "http"), Http), Server(str(directory / "echo"), Echo)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    websocket = unix_serve(back, str(directory / "websocket"), max_size=1 << 24, compression=None)
    threading.Thread(target=websocket.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
