"""A pytest fixture for those who write extensions (docs/extensions.md, "A test").

from spanbridge.extensions.testing import extension

def test_items(extension):
    page = extension(__file__)
    assert page.get("/items").json == {"items": []}
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from ..testing.bridge import Bridge
from ..testing.home import Home
from ..testing.start import HOST, command_of
from .life.found import look_at

__all__ = ["Answer", "Page", "extension"]

_LINGER: Final = {"extension_linger_seconds": 0.1}


class Answer(NamedTuple):
    """What a page gets. `problem` is that of the close: the answer broke off."""

    status: int
    headers: dict[str, str]
    body: bytes
    problem: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Page:
    """A page's side of a real host. Paths are below the mount: `/items`."""

    def __init__(self, bridge: Bridge, name: str, state: Path) -> None:
        self.name = name
        self.state = state
        """Where the host keeps its files: host.log, audit.db, NAME/data.db."""
        self._front = bridge.front_end
        self._numbers = itertools.count(1)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`body`: bytes, or what is sent as JSON. A path that begins with /api/ is taken as it is."""
        channel = f"test-{next(self._numbers)}"
        given = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        whole = path if path.startswith("/api/") else f"/api/ext/{self.name}{path}"
        self._front.open(
            channel,
            "http-stream2",
            internal="extensions",
            method=method,
            path=whole,
            headers=given,
            binary="raw",
        )
        if body:
            self._front.send(channel, body)
        self._front.control("done", channel=channel)
        return self._answer(channel)

    def _answer(self, channel: str) -> Answer:
        head: dict[str, Any] = {"status": 0, "headers": {}}
        pieces: list[bytes] = []
        while True:
            frame = self._front.take(
                lambda frame: (frame.channel or frame.message.get("channel")) == channel, f"an answer on {channel}"
            )
            if frame.channel:
                pieces.append(frame.payload)
            elif frame.message["command"] == "response":
                head = frame.message
            elif frame.message["command"] == "close":
                return Answer(head["status"], head["headers"], b"".join(pieces), frame.message.get("problem"))

    def get(self, path: str, **given: Any) -> Answer:
        return self.request("GET", path, **given)

    def post(self, path: str, body: Any = None, **given: Any) -> Answer:
        return self.request("POST", path, body, **given)

    def put(self, path: str, body: Any = None, **given: Any) -> Answer:
        return self.request("PUT", path, body, **given)

    def delete(self, path: str, **given: Any) -> Answer:
        return self.request("DELETE", path, **given)

    def events(self, *topics: str) -> Callable[[], dict[str, Any]]:
        """Listen; what is given waits for the next event."""
        channel = f"test-{next(self._numbers)}"
        self._front.open(
            channel, "extension-events", internal="extensions", extension=self.name, topics=list(topics) or ["*"]
        )
        self._front.expect("ready", channel)

        def next_event() -> dict[str, Any]:
            frame = self._front.take(lambda frame: frame.channel == channel, f"an event of {self.name}")
            found: dict[str, Any] = json.loads(frame.payload)
            return found

        return next_event

    @property
    def log(self) -> str:
        """host.log: what the extension prints, too."""
        path = self.state / "host.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def extension(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Starts a host with one extension, on a state of its own.

    `extension(directory)`, or `extension(__file__)` in a test that lies somewhere in it. `permissions=True` agrees to
    what it asks for; further arguments are limits.
    """
    with ExitStack() as stack:
        count = itertools.count()

        def start(where: str | os.PathLike[str], *, permissions: bool = False, **limits: float | str) -> Page:
            directory = _directory_of(Path(where).resolve())
            home = Home(tmp_path / f"extension-{next(count)}")
            found = look_at(str(directory))
            place = home.data_home / "spanbridge" / "extensions"
            place.mkdir(parents=True)
            (place / found.name).symlink_to(directory)
            state = home.root / "state"
            bridge = stack.enter_context(
                Bridge(
                    home,
                    command=command_of(None),
                    limits={**_LINGER, **limits},
                    environ={"XDG_STATE_HOME": str(state), "PATH": os.environ["PATH"]},
                )
            )
            bridge.front_end.expect("init", version=1)
            bridge.front_end.init(HOST)
            page = Page(bridge, found.name, state / "spanbridge" / "extensions")
            if permissions:
                listed = page.get("/api/extensions").json["extensions"]
                (asks,) = [each["asks"] for each in listed if each["name"] == found.name]
                page.post(f"/api/extensions/{found.name}/enable", {"permissions": asks})
            return page

        yield start


def _directory_of(path: Path) -> Path:
    for each in (path, *path.parents):
        if (each / "package.json").exists():
            return each
    raise ValueError(f"{path}: there is no package.json in it, nor above it")
