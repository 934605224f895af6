"""A stand-in of podman's API on a unix socket, as Cockpit's page for containers uses it."""

import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .client import Client
from .server import Peer, Server, fields_of, unix_server

INFO = {"host": {"arch": "amd64"}, "version": {"Version": "4.3.1"}}


class Podman:
    """Answers each connection in a thread of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.events: list[Peer] = []
        self.came = threading.Semaphore(0)  # once for each listener of events
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                peer = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[peer], daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        while True:
            try:
                head = peer.head()
            except (EOFError, OSError):
                return
            method, path, _ = head.split(" ", 2)
            fields = fields_of(head)
            body = peer.read(int(fields.get("Content-Length", "0")))
            self._answer(peer, method, path.removeprefix("/v1.12/libpod/"), body)

    def _answer(self, peer: Peer, method: str, path: str, body: bytes) -> None:
        if path == "info":
            self._json(peer, INFO)
        elif path.startswith("events"):
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.events.append(peer)
            self.came.release()
        elif path.startswith("containers/create"):
            self._json(peer, {"Id": "abc", "Warnings": json.loads(body)["image"]}, "201 Created")
            self._tell({"Action": "create", "Actor": {"ID": "abc"}})
        elif path.startswith("containers/abc/logs"):
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for stream, line in ((1, b"out\n"), (2, b"err\n")):
                entry = struct.pack("!BxxxI", stream, len(line)) + line
                peer.send(b"%x\r\n%b\r\n" % (len(entry), entry))
            peer.send(b"0\r\n\r\n")
        elif path.startswith("containers/abc/attach"):
            peer.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw bytes")
        elif path == "containers/abc" and method == "DELETE":
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            self._json(peer, {"cause": "no such container", "message": path, "response": 404}, "404 Not Found")

    def _json(self, peer: Peer, content: object, status: str = "200 OK") -> None:
        peer.answer(json.dumps(content).encode(), status, "Content-Type: application/json")

    def _tell(self, event: object) -> None:
        for peer in self.events:
            line = json.dumps(event).encode() + b"\n"
            peer.send(b"%x\r\n%b\r\n" % (len(line), line))


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Podman]:
    with unix_server(tmp_path / "podman.sock") as server:
        made = Podman(server)
        yield made
        for peer in made.events:
            peer.close()


def test_podman(client: Client, podman: Podman) -> None:
    base = "/v1.12/libpod/"
    front = client.front
    client = Client(front, podman.server)
    events = client.send(base + "events")
    front.expect("response", events, status=200)
    assert podman.came.acquire(timeout=20)
    assert json.loads(client.receive(client.send(base + "info", connection="podman")).body) == INFO
    created = client.receive(
        client.send(base + "containers/create", method="POST", body=b'{"image":"fedora"}', connection="podman")
    )
    assert (created.status, json.loads(created.body)["Id"]) == (201, "abc")
    event = front.take(lambda frame: frame.channel == events, "an event").payload
    assert json.loads(event) == {"Action": "create", "Actor": {"ID": "abc"}}
    logs = client.receive(client.send(base + "containers/abc/logs?follow=true", binary="raw"))
    assert logs.body == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"
    missing = client.receive(client.send(base + "containers/xyz/json", connection="podman"))
    assert (missing.status, json.loads(missing.body)["cause"]) == (404, "no such container")
    assert client.receive(client.send(base + "containers/abc", method="DELETE", connection="podman")).status == 204
    attached = client.receive(client.send(base + "containers/abc/attach?stdin=true", method="POST", binary="raw"))
    assert (attached.problem, attached.data) == ("protocol-error", [])
    front.close(events)
    front.expect("close", events)
