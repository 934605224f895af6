"""A channel that is closed in the very turn in which the other side has answered: nothing is left of the connection."""

import socket
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from spanbridge.payloads.streams import connecting, packet, stream
from spanbridge.protocol.control import close
from spanbridge.protocol.frames import Span
from spanbridge.session.sinks import Own

from ..bus.without_process import workbench


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("maker", "kind"),
    [(stream.stream, socket.SOCK_STREAM), (packet.packet, socket.SOCK_SEQPACKET)],
    ids=["stream", "packet"],
)
async def test_nothing_is_left(maker: Any, kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    done = anyio.Event()
    told: list[Span] = []

    async def connect(*_: object) -> socket.socket:
        own.close(b"1", close("1"))  # a wait that is over is not cancelled any more
        done.set()
        return ours

    monkeypatch.setattr(connecting, "connect_at_once", lambda *_: None)
    monkeypatch.setattr(connecting, "connect", connect)
    async with workbench(tmp_path) as bench:
        message = {"payload": "test", "unix": "/there", "binary": "raw"}
        own = Own(
            b"1",
            lambda port: maker(port, message, bench.services),
            to_front=told.append,
            forget=lambda ident: None,
        )
        own.made()
        await done.wait()
        await anyio.lowlevel.checkpoint()
        theirs.settimeout(20)
        assert await anyio.to_thread.run_sync(theirs.recv, 1) == b""
    assert told == []
    theirs.close()
