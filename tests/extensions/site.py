"""A user with extensions, and the requests of a page."""

import json
import os
import textwrap
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from ..packages.client import heard

LIMITS = {"extension_linger_seconds": 0.1}
WAIT_SECONDS = 20.0


class Answer(NamedTuple):
    """All that came on the channel of one request."""

    controls: list[dict[str, Any]]
    data: list[bytes]

    @property
    def commands(self) -> list[str]:
        return [str(message["command"]) for message in self.controls]

    @property
    def head(self) -> dict[str, Any]:
        return next(message for message in self.controls if message["command"] == "response")

    @property
    def status(self) -> int:
        return int(self.head["status"])

    @property
    def headers(self) -> dict[str, str]:
        found: dict[str, str] = self.head["headers"]
        return found

    @property
    def body(self) -> bytes:
        return b"".join(self.data)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]

    @property
    def problem(self) -> str | None:
        return self.controls[-1].get("problem")


class Page:
    """Asks over a front end, on channels of its own."""

    _numbers = count(1)

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end

    def ask(self, method: str, path: str, body: Any = None, /, **members: Any) -> str:
        """Open a channel for one request; it. `body`: bytes, or what is sent as JSON. `...` leaves a member out."""
        channel = f"request-{next(self._numbers)}"
        headers = dict(members.pop("headers", {}))
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        message = {
            "command": "open",
            "channel": channel,
            "payload": "http-stream2",
            "internal": "extensions",
            "method": method,
            "path": path,
            "headers": headers,
            **{name.replace("_", "-"): value for name, value in members.items()},
        }
        self.front_end.message({name: value for name, value in message.items() if value is not ...})
        for start in range(0, len(body or b""), 60_000):
            self.front_end.send(channel, body[start : start + 60_000])
        self.front_end.control("done", channel=channel)
        return channel

    def receive(self, channel: str) -> Answer:
        """Wait for the end of the channel."""
        return Answer(*heard(self.front_end, channel))

    def __call__(self, method: str, path: str, body: Any = None, /, **members: Any) -> Answer:
        return self.receive(self.ask(method, path, body, **members))

    def get(self, path: str, /, **members: Any) -> Answer:
        return self("GET", path, **members)

    def listen(self, extension: str, /, **members: Any) -> str:
        """A channel of events, which is ready."""
        channel = f"events-{next(self._numbers)}"
        self.front_end.open(channel, "extension-events", internal="extensions", extension=extension, **members)
        self.front_end.expect("ready", channel)
        return channel

    def event(self, channel: str) -> dict[str, Any]:
        frame = self.front_end.take(lambda frame: frame.channel == channel, f"an event on {channel}")
        found: dict[str, Any] = json.loads(frame.payload)
        return found


class Site:
    """A home with extensions; each bridge that is started is one session of the same user."""

    def __init__(self, home: Home, start: Start) -> None:
        self.home = home
        self._start = start
        self.state = home.root / "state" / "spanbridge" / "extensions"

    def extension(
        self, name: str, source: str, /, *, version: str = "1", main: str = "src/main.py", **members: Any
    ) -> Path:
        """Write an extension; its directory. In Python `name` and `version` are set before `source`."""
        directory = self.home.data_home / "spanbridge" / "extensions" / name
        (directory / main).parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(source)
        if main.endswith(".py"):
            text = f"name = {name!r}\nversion = {version!r}\n{text}"
        self.replace(directory / main, text)
        package = {"name": name, "version": version, "main": main, **members}
        self.replace(directory / "package.json", json.dumps(package))
        return directory

    @staticmethod
    def replace(path: Path, text: str) -> None:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text)
        new.rename(path)

    def session(self, *, environ: Mapping[str, str] | None = None, **limits: float | str) -> Page:
        """A bridge, and a page on it."""
        return Page(self.bridge(environ=environ, **limits).front_end)

    def bridge(self, *, environ: Mapping[str, str] | None = None, **limits: float | str) -> Bridge:
        given = {"XDG_STATE_HOME": str(self.home.root / "state"), "PATH": os.environ["PATH"], **(environ or {})}
        return self._start(limits={**LIMITS, **limits}, environ=given)

    @property
    def log(self) -> str:
        """host.log."""
        path = self.state / "host.log"
        return path.read_text() if path.exists() else ""

    def wait_log(self, text: str) -> None:
        """Wait until the log has it. A file cannot be waited for otherwise."""
        wait_until(lambda: text in self.log, f"{text!r} in host.log", lambda: self.log)


def wait_until(enough: Callable[[], Any], what: str, told: Callable[[], str] = str) -> None:
    """For what no frame tells: look until it is so."""
    until = time.monotonic() + WAIT_SECONDS
    while not enough():
        assert time.monotonic() < until, f"waited for {what}\n{told()}"
        time.sleep(0.02)


def hello(body: str = 'return {"hello": req.path}') -> str:
    """The source of an extension with one route for all paths."""
    return textwrap.dedent(
        f"""
        def init(router, services):
            @router.all("/*")
            def any_path(req):
                {body}
        """
    )
