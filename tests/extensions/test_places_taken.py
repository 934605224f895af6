"""Directories of the host's in whose place there is something else."""

from pathlib import Path

import pytest

from .site import Site, hello


@pytest.mark.parametrize("place", ["one", "one/files"])
def test_a_directory_whose_place_is_taken_is_told_and_costs_its_extension_alone(site: Site, place: str) -> None:
    site.extension("one", hello())
    site.extension("two", hello())
    taken: Path = site.state / place
    taken.parent.mkdir(parents=True)
    taken.write_text("")
    page = site.session()
    told = page.get("/api/ext/one/")
    assert told.error == (503, "extension-failed")
    assert told.json["message"] == f"{taken}: Not a directory"
    assert page.get("/api/ext/two/").status == 200
    taken.unlink()
    assert page.get("/api/ext/one/").status == 200


FILLS = """
def init(router, services):
    @router.get("/")
    def fill(req):
        for name in "ab":
            with open(f"{services.files}/{name}", "wb") as file:
                file.write(b"x" * 90_000)
"""


def test_a_directory_of_files_that_is_replaced_leaves_the_limits_of_others(site: Site) -> None:
    site.extension("one", hello('return {"n": len(b"x" * int(req.query.get("n", 0)))}'))
    site.extension("two", FILLS)
    page = site.session(extension_look_seconds=0.1, extension_files_bytes=100_000)
    assert page.get("/api/ext/one/").status == 200
    files = site.state / "one" / "files"
    files.rmdir()
    files.symlink_to("/etc")
    assert page.get("/api/ext/one/?n=8000000").status == 200  # what sleeps is not looked at
    site.wait_log("error files extension=one")
    page.get("/api/ext/two/")
    site.wait_log("name=extension_files_bytes")
