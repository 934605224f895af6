"""Connections and names that nobody uses any more: payloads/http/connections, with a shorter patience."""

from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.base import Services
from spanbridge.payloads.connect.target import Target
from spanbridge.payloads.http.connections import Connections
from spanbridge.payloads.http.where import Where

from ..connect.session import in_session
from .server import unix_server


def test_idle_connections_end_and_names_are_forgotten(tmp_path: Path) -> None:
    with unix_server(tmp_path / "server") as server:
        where = Where(Target(unix=str(tmp_path / "server")), None)

        async def test(services: Services) -> None:
            made = Connections(services)
            connection = made.get_now(where, "name")
            assert connection is not None
            await anyio.sleep(0.2)
            assert made.known("name") == where  # it is in use
            made.release(connection, keep=True)
            peer = server.accept()
            assert await anyio.to_thread.run_sync(peer.rest) == b""
            peer.close()
            with anyio.fail_after(20):
                while made.known("name") is not None:  # noqa: ASYNC110 - nobody is told
                    await anyio.sleep(0.01)

        in_session(test, http_kept_seconds=0.05)


def test_a_name_that_was_never_connected_is_forgotten(tmp_path: Path) -> None:
    where = Where(Target(unix=str(tmp_path / "none")), None)

    async def test(services: Services) -> None:
        made = Connections(services)
        with pytest.raises(Exception, match="No such file"):
            made.get_now(where, "name")
        assert made.known("name") == where
        with anyio.fail_after(20):
            while made.known("name") is not None:  # noqa: ASYNC110 - nobody is told
                await anyio.sleep(0.01)

    in_session(test, http_kept_seconds=0.05)
