"""docs/extensions.md: what it shows works."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from spanbridge.extensions.life.extension import BROKEN, DISABLED, FAILED, IDLE, NEEDS_CONSENT, RUNNING, STARTING
from spanbridge.extensions.life.found import look_at
from spanbridge.extensions.services.webhooks import signature
from spanbridge.extensions.testing import Page, extension

from ..docs.pages import DOCS, blocks, words
from ..missing import lack

PAGE = DOCS / "extensions.md"
REFERENCE = DOCS / "extensions-reference.md"
Extension = Callable[..., Page]

__all__ = ["extension"]


def shown(language: str, tag: str) -> str:
    (block,) = blocks(PAGE, language, tag)
    return block.text


def made(tmp_path: Path, language: str, package: str, source: str) -> Path:
    directory = tmp_path / "shown"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / ("main.py" if language == "python" else "index.js")).write_text(source)
    (directory / "package.json").write_text(package)
    return directory


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_module_and_its_test(tmp_path: Path, extension: Extension, language: str) -> None:
    if language == "js" and shutil.which("node") is None:
        lack("missing: node", "nodejs")
    directory = made(tmp_path, language, shown("json", "package"), shown(language, "module"))
    assert look_at(str(directory)).broken == ""
    test = directory / "tests" / "test_items.py"
    scope: dict[str, Any] = {"__file__": str(test)}
    exec(shown("python", "test"), scope)  # noqa: S102 - what the page shows
    scope["test_items"](extension)


def test_the_alert(tmp_path: Path, extension: Extension) -> None:
    package = json.dumps({"name": "disk", "version": "1.0.0"})
    page = extension(made(tmp_path, "python", package, shown("python", "alert")))
    (alert,) = page.post("/used", {"percent": 95}).json
    assert (alert["name"], alert["state"]) == ("full", "pending")


def test_permissions(tmp_path: Path) -> None:
    found = look_at(str(made(tmp_path, "python", shown("json", "permissions"), "")))
    assert found.broken == ""
    assert set(msgspec.to_builtins(found.asks)) == {"network", "read", "write", "run"}


def test_the_webhook_verifies() -> None:
    scope: dict[str, Any] = {}
    exec(shown("python", "webhook"), scope)  # noqa: S102 - what the page shows
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
    import time

    stamp, body = str(int(time.time())), b'{"n":1}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": signature(secret, "msg_1", stamp, body),
    }
    assert scope["verified"](secret, body, headers) == {"n": 1}
    assert Webhook is scope["Webhook"]


def test_states_and_errors_are_those_of_the_code() -> None:
    text = REFERENCE.read_text()
    for state in (BROKEN, DISABLED, FAILED, IDLE, NEEDS_CONSENT, RUNNING, STARTING):
        assert f"`{state}`" in text
    sources = "".join(path.read_text() for path in (DOCS.parent / "bridge" / "extensions").rglob("*.py"))
    for line in text.splitlines():
        if line.startswith(("| 4", "| 5")):
            for code in words(line.split("|")[2]):
                if code not in ("Allow", "Retry-After"):
                    assert f'"{code}"' in sources, code
