"""An idle session imports nothing that it does not use, and what is left out is there when it is needed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spanbridge.protocol.control import control

EVENT_LOOP = """
import sys
from spanbridge.stand_ins import import_event_loop
import_event_loop()
import asyncio, anyio
assert not {"ssl", "logging", "ipaddress", "typing_extensions"} & {*sys.modules}
async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
    import ssl
    assert ssl.create_default_context().check_hostname
    ssl.MemoryBIO()
    asyncio.log.logger.warning("one %s", "line")
    import logging
    assert logging.getLogger("asyncio").name == "asyncio"
    import ipaddress
    assert ipaddress.ip_address("::1").is_loopback
    import typing_extensions
    assert typing_extensions.TypeVar("T", default=int).__default__ is int
anyio.run(main)
"""

MSGSPEC = """
import sys
from spanbridge.stand_ins import import_msgspec
import_msgspec()
import msgspec
assert not {"uuid", "decimal", "datetime", "inspect", "typing_extensions"} & {*sys.modules}
class One(msgspec.Struct):
    name: str
    number: int | None = None
assert msgspec.json.decode(b'{"name":"x"}', type=One) == One("x")
assert msgspec.json.schema(One)["$defs"]["One"]["required"] == ["name"]
from msgspec import inspect
assert inspect.type_info(One).cls is One
import datetime, decimal, uuid
assert msgspec.to_builtins(datetime.date(2024, 2, 29)) == "2024-02-29"
assert decimal.Decimal("1.5") + 1 and uuid.uuid4().version == 4
"""

OTHERS = """
import sys
from spanbridge.stand_ins import import_inotify, import_websockets
import_websockets()
from websockets.frames import TEXT, Frame
assert len(Frame(TEXT, b"text").serialize(mask=True)) == 10
import_inotify()
import inotify_simple, os
assert not {"hashlib", "importlib.metadata", "ctypes.util", "tempfile", "email"} & {*sys.modules}
with inotify_simple.INotify() as inotify:
    inotify.add_watch(os.curdir, inotify_simple.flags.CREATE)
import ctypes.util, importlib.metadata, secrets
assert ctypes.util.find_library("c") and importlib.metadata.version("websockets") and len(secrets.token_hex(3)) == 6
"""


@pytest.mark.parametrize("code", [EVENT_LOOP, MSGSPEC, OTHERS])
def test_libraries_without_what_they_import_and_that_after_them(code: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)


def test_what_an_idle_session_does_not_import(tmp_path: Path) -> None:
    launcher = Path(sys.executable).with_name("spanbridge")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)}
    init = control("init", version=1, host="localhost")
    command = [sys.executable, "-I", "-X", "importtime", str(launcher)]
    done = subprocess.run(command, input=init, capture_output=True, env=environ, timeout=60, check=True)
    imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr.decode(), re.MULTILINE))
    assert {"asyncio", "anyio", "msgspec", "spanbridge.session.session"} <= imported
    heavy = "_ssl dbus_fast decimal email h11 http logging msgspec.inspect platform sqlite3 unittest uuid websockets"
    assert not imported & set(heavy.split())
