"""examples/extensions: each does what it says, and is what the page shows."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from types import ModuleType

import pytest

from spanbridge.extensions.testing import Page, extension

from ..docs.pages import DOCS, blocks
from ..missing import lack
from .conftest import EXAMPLES

__all__ = ["extension"]

EXTENSIONS = EXAMPLES / "extensions"


@pytest.mark.parametrize("directory", ["my-extension", "my-extension-in-python"])
def test_the_example_of_the_document(extension: Callable[..., Page], directory: str) -> None:
    if directory == "my-extension" and shutil.which("node") is None:
        lack("missing: node", "nodejs")
    page = extension(EXTENSIONS / directory)
    event = page.events("items")
    made = page.post("/items", {"name": "one"})
    assert made.status == 201
    assert event()["data"] == made.json
    (item,) = page.get("/items").json["items"]
    assert (item["id"], item["name"]) == (made.json["id"], "one")
    (entry,) = page.get("/api/extensions/audit").json["entries"]
    assert (entry["action"], entry["kind"], entry["id"], entry["details"]) == (
        "create",
        "item",
        item["id"],
        {"name": "one"},
    )


def test_they_are_what_the_page_shows() -> None:
    page = DOCS / "extensions.md"
    (javascript,), (python,) = blocks(page, "js", "module"), blocks(page, "python", "module")
    assert (EXTENSIONS / "my-extension/src/index.js").read_text() == javascript.text
    assert (EXTENSIONS / "my-extension-in-python/src/main.py").read_text().endswith(python.text)
    (package,) = blocks(page, "json", "package")
    assert json.loads((EXTENSIONS / "my-extension-in-python/package.json").read_text()) == json.loads(package.text)


def test_disk_history_passes_its_own_test(extension: Callable[..., Page]) -> None:
    test = _module(str(EXTENSIONS / "disk-history/tests/test_disk_history.py"))
    test.test_history(extension)


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("disk_history_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
