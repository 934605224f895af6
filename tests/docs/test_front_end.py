"""What the README shows of the real front end: cockpit-ws with spanbridge as its session."""

import shlex
import socket
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.home import Home
from spanbridge.testing.tail import Tail

from ..browser import socket_activated
from ..browser.parts import COCKPIT_SHELL, COCKPIT_WS, require
from .pages import README, Block, blocks


def shown() -> Block:
    (block,) = blocks(README, "sh", "cockpit")
    return block


@pytest.mark.cockpit
def test_cockpit_ws_serves_its_pages_from_it_alone(home: Home) -> None:
    require(COCKPIT_WS, COCKPIT_SHELL)
    path = f"{Path(sys.executable).parent}:{home.environ['PATH']}"  # the reader has installed it
    mark = f"DOCS_TEST_RUN={uuid.uuid4().hex}"
    log = Tail(home.root / "log")
    with socket.create_server(("127.0.0.1", 0)) as listener, log.path.open("ab") as output:
        port = listener.getsockname()[1]
        activated = shlex.join([sys.executable, "-I", socket_activated.__file__, str(listener.fileno())])
        install, *lines = shown().text.splitlines(keepends=True)
        assert install.startswith("sudo apt install ")
        assert "--port 9090" in lines[-1]
        # A port of our own, open before cockpit-ws runs: nothing has to be waited for.
        lines[-1] = lines[-1].replace("9090", str(port)).replace(COCKPIT_WS, f"exec {activated} {COCKPIT_WS}", 1)
        name, value = mark.split("=")
        process = subprocess.Popen(
            ["sh", "-euc", "".join(lines)],
            cwd=home.root,
            env={**home.environ, "PATH": path, "XDG_DATA_DIRS": "/usr/share", name: value},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
        )
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/", timeout=SECONDS) as answer:
            page = answer.read()
        assert b"<title>Cockpit</title>" in page, log.text
        assert log.matches("helper-started") == [], log.text
    finally:
        process.terminate()
        process.wait(SECONDS)
        left = processes.wait_ended(processes.marked(mark))
        processes.kill(left)
    assert left == []
