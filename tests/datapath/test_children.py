"""Hearing of the end of children, by pidfd and without (bridge/wire/children.py)."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from spanbridge.wire.children import Children


@pytest.fixture(params=[None, errno.ENOSYS, errno.EPERM], ids=["pidfd", "no such call", "refused"])
def kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param is None:
        yield
        return
    with patch.object(os, "pidfd_open", side_effect=OSError(request.param, "not here")):
        yield


def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "-c", "read line; exit 3"], stdin=subprocess.PIPE)


@pytest.mark.usefixtures("kernel")
def test_each_end_is_told_once() -> None:
    async def main() -> None:
        children = Children(asyncio.get_running_loop())
        told: list[int] = []
        all_told = asyncio.Event()

        def ended(pid: int) -> None:
            told.append(pid)
            if len(told) == 3:
                all_told.set()

        some = [child() for _ in range(4)]
        for each in some:
            children.watch(each.pid, lambda pid=each.pid: ended(pid))  # type: ignore[misc]
        children.forget(some[3].pid)
        for each in reversed(some):
            assert each.stdin is not None
            each.stdin.close()
        await asyncio.wait_for(all_told.wait(), 30)
        assert sorted(told) == sorted(each.pid for each in some[:3])
        assert [each.wait() for each in some] == [3] * 4  # it reaps none

    asyncio.run(main())


@pytest.mark.usefixtures("kernel")
def test_one_that_has_ended_before() -> None:
    async def main() -> None:
        some = child()
        assert some.stdin is not None
        some.stdin.close()
        os.waitid(os.P_PID, some.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
        told = asyncio.Event()
        Children(asyncio.get_running_loop()).watch(some.pid, told.set)
        await asyncio.wait_for(told.wait(), 30)
        some.wait()

    asyncio.run(main())
