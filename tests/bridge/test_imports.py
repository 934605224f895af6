"""An idle session imports nothing that it does not use, and what is left out is there when it is needed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spanbridge.protocol.control import control

TYPING = """
import sys
import spanbridge
for name in ("re", "typing", "warnings"):  # where this Python's site has loaded them
    sys.modules.pop(name, None)
from spanbridge.stand_ins import import_msgspec
import_msgspec()
import typing
assert not {"re", "warnings"} & {*sys.modules}
import re
assert typing.get_origin(typing.Pattern[str]) is re.Pattern and typing.get_origin(typing.Match[str]) is re.Match
import msgspec
for text, good in (('"ab"', True), ('"b"', False)):
    try:
        msgspec.json.decode(text, type=typing.Annotated[str, msgspec.Meta(pattern="^a")])
    except msgspec.ValidationError:
        assert not good
    else:
        assert good
"""

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
assert not {"msgspec.msgpack", "msgspec.toml", "msgspec.yaml"} & {*sys.modules}
class One(msgspec.Struct):
    name: str
    number: int | None = None
assert msgspec.json.decode(b'{"name":"x"}', type=One) == One("x")
assert msgspec.msgpack.decode(msgspec.msgpack.encode(One("x")), type=One) == One("x")
assert msgspec.toml.encode.__module__ == "msgspec.toml"
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


@pytest.mark.parametrize("code", [TYPING, EVENT_LOOP, MSGSPEC, OTHERS])
def test_libraries_without_what_they_import_and_that_after_them(code: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)


def imported(tmp_path: Path, stdout: int, *options: str) -> set[str]:
    """What a session imports that says no more than `init`."""
    launcher = Path(sys.executable).with_name("spanbridge")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)}
    init = control("init", version=1, host="localhost")
    command = [sys.executable, *options, "-X", "importtime", str(launcher)]
    done = subprocess.run(
        command, input=init, stdout=stdout, stderr=subprocess.PIPE, env=environ, timeout=60, check=True
    )
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr.decode(), re.MULTILINE))


def test_what_an_idle_session_does_not_import(tmp_path: Path) -> None:
    found = imported(tmp_path, subprocess.DEVNULL, "-I")
    assert {"asyncio", "anyio", "msgspec", "spanbridge.session.session"} <= found
    heavy = "_ssl dbus_fast decimal email h11 http logging msgspec.inspect platform sqlite3 unittest uuid websockets"
    assert not found & set(heavy.split())


def test_what_is_not_imported_before_init(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:  # the session ends, since its `init` cannot be written
        found = imported(tmp_path, full.fileno(), "-IS")
    assert {"msgspec", "spanbridge.start"} <= found
    later = "asyncio importlib json msgspec.msgpack re signal spanbridge.manifests.rules"
    assert not found & set(later.split())
