"""The socket where our askpass program brings questions, on a loop of its own."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from spanbridge.helpers.hosts import askpass_socket
from spanbridge.helpers.hosts.askpass_socket import AskpassSocket
from spanbridge.log import Log


class Refusing:
    """Stands for the listening socket of a process that has no descriptor left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.asked = 0

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def accept(self) -> None:
        self.asked += 1
        raise OSError(errno.EMFILE, "no descriptor")


def test_without_a_descriptor_the_loop_does_not_spin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is reported in each turn."""

    async def look() -> int:
        listening = AskpassSocket(asyncio.get_running_loop(), Log(), str(tmp_path))
        refusing = Refusing(listening._sock)
        monkeypatch.setattr(listening, "_sock", refusing)
        with socket.socket(socket.AF_UNIX) as comer:
            comer.connect(str(tmp_path / "askpass"))
            for _ in range(20):
                await asyncio.sleep(0)
        listening.close()
        return refusing.asked

    monkeypatch.setattr(askpass_socket, "_REST_SECONDS", 1_000)
    assert asyncio.run(look()) == 1
