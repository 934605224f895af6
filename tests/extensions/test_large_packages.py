"""A package.json of which something is too large: that extension is broken, and no other."""

import json
from pathlib import Path

from .site import Page, Site, hello, wait_until


def test_permissions_that_are_too_many(site: Site) -> None:
    site.extension("good", hello())
    paths = [f"/{'x' * 2_000}/{number}" for number in range(40)]
    site.extension("many", hello(), spanbridge={"permissions": {"read": paths}})
    page = site.session()
    assert page.get("/api/ext/good/x").status == 200
    assert page("POST", "/api/extensions/many/enable", {"permissions": {"read": paths}}).status == 409
    refused = page.get("/api/ext/many/x")
    assert refused.error == (503, "extension-failed")
    assert "package.json: spanbridge.permissions: 80" in refused.json["message"]
    assert page.get("/api/ext/good/x").status == 200
    assert "fork-server-died" not in site.log


def test_a_version_that_is_too_long(site: Site) -> None:
    """It would not fit into an entry of the audit log, nor into what a process is told at its start."""
    directory = site.extension("long", hello())
    page = site.session()
    assert page.get("/api/ext/long/x").status == 200
    _version(site, directory, "v" * 70_000)
    wait_until(lambda: _error_of(page) is not None, "the version to be refused")
    assert "package.json: version: 70000 characters" in str(_error_of(page))
    site.extension("good", hello())
    assert page.get("/api/ext/good/x").status == 200


def _version(site: Site, directory: Path, version: str) -> None:
    site.replace(directory / "package.json", json.dumps({"name": "long", "version": version}))


def _error_of(page: Page) -> str | None:
    (told,) = [each["error"] for each in page.get("/api/extensions").json["extensions"] if each["name"] == "long"]
    return None if told is None else str(told)
