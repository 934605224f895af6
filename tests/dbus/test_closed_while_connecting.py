"""A channel that is closed in the very turn in which the bus has answered: the connection is let go of."""

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from spanbridge.payloads.bus import outside
from spanbridge.payloads.bus.buses import Buses
from spanbridge.payloads.dbus import dbus
from spanbridge.protocol.control import close
from spanbridge.protocol.frames import Span
from spanbridge.session.sinks import Own

from ..bus.without_process import workbench


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Connected:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.let_go = anyio.Event()

    def close(self) -> None:
        self.let_go.set()


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"bus": "none", "address": "unix:path=/there"}, {"bus": "session"}])
async def test_the_connection_is_let_go_of(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = Connected()
    told: list[Span] = []

    async def connect(*_: object, **__: object) -> Connected:
        own.close(b"1", close("1"))  # a wait that is over is not cancelled any more
        return connected

    monkeypatch.setattr(outside, "connect", connect)
    monkeypatch.setattr(Buses, "get", connect)
    monkeypatch.setattr(Buses, "release", lambda *_: connected.close())
    async with workbench(tmp_path) as bench:
        message = {"payload": "dbus-json3", **options}
        own = Own(
            b"1",
            lambda port: dbus(port, message, bench.services),
            to_front=told.append,
            forget=lambda ident: None,
        )
        own.made()
        with anyio.fail_after(20):
            await connected.let_go.wait()
    assert told == []
