"""Connections and names that nobody uses any more: payloads/http/connections, with a shorter patience."""

from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.base import Services
from spanbridge.payloads.connect.target import Target
from spanbridge.payloads.http.connections import Connections, Group
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


class _Counted(Connections):
    """With how often somebody who waits is looked at."""

    looks = 0

    def _has_room(self, group: Group | None) -> bool:
        self.looks += 1
        return super()._has_room(group)


def test_many_who_wait_for_one_name_are_not_looked_at_each_time(tmp_path: Path) -> None:
    """They have their connections in order."""
    count = 300
    with unix_server(tmp_path / "server"):
        where = Where(Target(unix=str(tmp_path / "server")), None)

        async def test(services: Services) -> None:
            made, served = _Counted(services), list[int]()

            async def ask(number: int) -> None:
                connection = await made.get(where, "name", fresh=number % 2 == 0)
                served.append(number)
                made.release(connection, keep=number % 3 == 0)

            first = made.get_now(where, "name")
            assert first is not None
            async with anyio.create_task_group() as tasks:
                for number in range(count):
                    tasks.start_soon(ask, number)
                await anyio.wait_all_tasks_blocked()
                assert served == []
                made.release(first, keep=False)
            assert served == list(range(count))
            assert made.looks < 5 * count

        in_session(test, http_connections_per_name=1)
