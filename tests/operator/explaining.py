"""Running `spanbridge explain`, and asking a real bridge the same."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.home import Home

from ..missing import lack


def explain(
    home: Home, *arguments: str, environ: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `spanbridge explain` in the directory in which the kit's bridges run."""
    done = subprocess.run(
        [*(prefix or (str(SPANBRIDGE),)), "explain", *arguments],
        env=environ or home.environ,
        cwd=home.root,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def explained(home: Home, *opens: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
    """What it says of these opens with --json."""
    done = explain(home, "--json", *map(json.dumps, opens), **arguments)
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    nobody = any(each["served"]["by"] == "nobody" for each in told["opens"])
    assert done.returncode == nobody
    return told


def answer(bridge: Bridge, message: Mapping[str, Any]) -> dict[str, Any]:
    """The first that the bridge says of an open: `ready` or `close`."""
    channel = message["channel"]
    bridge.front_end.message({"command": "open", **message})
    frame = bridge.front_end.take(
        lambda frame: (
            not frame.channel
            and frame.message.get("channel") == channel
            and frame.message["command"] in ("ready", "close", "response")
        ),
        f"ready or close of {channel}",
    )
    return frame.message


def require_ssh() -> None:
    """Skip or fail a test of what goes to other hosts, where there is no ssh."""
    if shutil.which("ssh") is None:
        lack("ssh is missing", "openssh-client")
