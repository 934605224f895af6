"""An idle session imports nothing that it does not use, and what is left out is there when it is needed."""

import subprocess
import sys

_CODE = """
import sys
from spanbridge.without_ssl import import_event_loop
import_event_loop()
import asyncio, anyio
assert "ssl" not in sys.modules
async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
    import ssl
    assert ssl.create_default_context().check_hostname
    ssl.MemoryBIO()
anyio.run(main)
"""


def test_the_event_loop_without_ssl_and_ssl_after_that() -> None:
    subprocess.run([sys.executable, "-I", "-c", _CODE], check=True, timeout=60)
