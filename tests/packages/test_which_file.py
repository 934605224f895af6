"""Which file of a package, or of all, answers a request."""

import json

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import COMMON, NO_CACHE, Client, packed, write_package
from .conftest import Ask

PLACES = pytest.mark.parametrize("place", ["data_home", "data_dir"])


NAMES = ["{}.js", "{}.js.gz", "{}.min.js", "{}.min.js.gz", "{}.js.min", "{}.js.min.gz"]


@PLACES
def test_the_first_of_the_names_a_file_may_have(home: Home, ask: Ask, place: str) -> None:
    package = write_package(getattr(home, place), "pkg")
    for index in range(len(NAMES)):
        for name in (name.format(f"t{index}") for name in NAMES[index:]):
            (package / name).write_bytes(packed(name) if name.endswith(".gz") else name.encode())
    (package / "d.js").mkdir()
    (package / "d.js.gz").write_bytes(packed("d.js.gz"))
    client = ask()
    for stem, first in [
        *((f"t{index}", name.format(f"t{index}")) for index, name in enumerate(NAMES)),
        ("d", "d.js.gz"),
    ]:
        plain = client.get(f"/pkg/{stem}.js", {"Accept-Encoding": "identity"})
        assert plain.body == first.encode()
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Content-Type"] == "application/javascript"
        any_coding = client.get(f"/pkg/{stem}.js")
        assert any_coding.content == first.encode()
        assert (any_coding.headers.get("Content-Encoding") == "gzip") == first.endswith(".gz")


def test_a_packed_file_goes_out_as_it_is_where_that_is_accepted(home: Home, ask: Ask) -> None:
    stored = packed("content" * 1000)
    write_package(home.data_home, "pkg", {"a.css.gz": stored})
    client = ask()
    for accepted in ({}, {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "*;q=0.1"}):
        assert client.get("/pkg/a.css", accepted).body == stored
    for accepted in ({"Accept-Encoding": ""}, {"Accept-Encoding": "gzip;q=0, *"}, {"Accept-Encoding": "br"}):
        assert client.get("/pkg/a.css", accepted).body == b"content" * 1000


def test_a_packed_file_asked_for_itself_is_just_a_file(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "pkg", {"a.js.gz": packed("a")})
    response = ask().get("/pkg/a.js.gz", {"Accept-Encoding": "identity"})
    assert response.body == packed("a")
    assert response.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in response.headers


def test_a_damaged_packed_file_is_an_error_where_it_must_be_unpacked(home: Home, start: Start) -> None:
    damaged: dict[str, bytes | str] = {
        "empty": b"",
        "plain": b"no gzip",
        "short": packed("a")[:-3],
        "long": packed(bytes(1 << 20))[:-3],
    }
    write_package(home.data_home, "pkg", {f"{name}.js.gz": content for name, content in damaged.items()})
    bridge = start()
    client = Client(bridge.front_end)
    for name, content in damaged.items():
        assert client.get(f"/pkg/{name}.js").body == content
        response = client.get(f"/pkg/{name}.js", {"Accept-Encoding": "identity"})
        if name in ("empty", "plain"):
            assert (response.status, response.head["reason"]) == (500, "Internal Server Error")
            assert b"gzip" in response.body
            assert response.commands == ["ready", "done", "close"]
        else:  # its first piece is good
            assert response.status == 200
            assert response.problem == "internal-error"
            assert response.commands == ["ready", "close"]
        assert len(bridge.log.matches(f"error: package-file path=/pkg/{name}.js why=.*gzip")) == 1


def test_a_package_of_the_user_is_looked_up_afresh(home: Home, ask: Ask) -> None:
    package = write_package(home.data_home, "pkg", {"a.js.gz": packed("packed")})
    client = ask()
    assert client.get("/pkg/a.js").content == b"packed"
    (package / "a.js").write_text("plain")
    assert client.get("/pkg/a.js").content == b"plain"
    (package / "a.js").write_text("changed")
    (package / "po.de.js").write_text("de")
    assert client.get("/pkg/a.js").content == b"changed"
    assert client.get("/pkg/po.js", {"Accept-Language": "de"}).content == b"de"
    (package / "a.js").unlink()
    assert client.get("/pkg/a.js").content == b"packed"


def test_a_package_of_the_system_is_listed_once_for_each_load(home: Home, start: Start) -> None:
    package = write_package(home.data_dir, "pkg", {"a.js": "a", "b.js": "b"})
    bridge = start()
    client = Client(bridge.front_end)
    assert client.get("/pkg/a.js").body == b"a"
    (package / "new.js").write_text("new")
    (package / "b.js").unlink()
    assert client.get("/pkg/new.js").status == 404
    assert client.get("/pkg/b.js").status == 404
    bridge.reload()
    assert client.get("/pkg/new.js").body == b"new"


# Languages


@PLACES
def test_a_translation_by_language(home: Home, ask: Ask, place: str) -> None:
    files: dict[str, bytes | str] = {
        "po.de.js": "de",
        "po.fr.js.gz": packed("fr"),
        "po.pt_BR.js": "pt_BR",
        "po.zh-TW.js": "zh-TW",
        "po.zh.js": "zh",
        "po.en_GB.js": "en_GB",
        "sub/po.de.js": "sub de",
    }
    write_package(getattr(home, place), "pkg", files)
    client = ask()
    expected = {
        "de": "de",
        "DE": "de",
        "de-AT": "de",
        "de_at": "de",
        "fr": "fr",
        "pt-br": "pt_BR",
        "pt_BR": "pt_BR",
        "pt": "",
        "zh-tw": "zh-TW",
        "zh-cn": "zh",
        "zh-Hant-TW": "zh",
        "it, fr;q=0.5, de;q=0.7": "de",
        "it": "",
        "en": "",
        "en-US": "",
        "en-GB, de": "en_GB",
        "en, de": "",
        "it, en, de": "",
        "de;q=0": "",
        "../de": "",
        "*": "",
        "": "",
    }
    found = {}
    for language in expected:
        response = client.get("/pkg/po.js", {"Accept-Language": language})
        assert response.status == 200
        assert response.headers["Cache-Control"] == NO_CACHE
        assert response.headers["Content-Type"] == "application/javascript"
        found[language] = response.content.decode()
    assert found == expected
    assert client.get("/pkg/po.js").content == b""
    assert client.get("/pkg/sub/po.js", {"Accept-Language": "de"}).content == b"sub de"
    assert client.get("/pkg/no/po.js", {"Accept-Language": "de"}).content == b""
    assert client.get("/other/po.js", {"Accept-Language": "de"}).status == 404


@PLACES
def test_a_file_named_po_js_is_for_everybody_else(home: Home, ask: Ask, place: str) -> None:
    write_package(getattr(home, place), "pkg", {"po.js": "any", "po.de.js": "de"})
    client = ask()
    assert client.get("/pkg/po.js", {"Accept-Language": "it, de"}).content == b"de"
    assert client.get("/pkg/po.js", {"Accept-Language": "it"}).content == b"any"
    assert client.get("/pkg/po.js").content == b"any"


# All packages


def test_a_file_of_every_package(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "c", {"a.css": "of c;", "po.de.js": "po c;"})
    write_package(home.data_dir, "a", {"a.css.gz": packed("of a;"), "po.de.js.gz": packed("po a;")})
    write_package(home.data_dir, "b", {"other.css": "of b;", "po.fr.js": "po b;"})
    write_package(home.data_dir, "d", {"a.css": "of d;"}, name="aa")
    write_package(home.data_dir, "e", {"a.css.gz": b"damaged"})
    client = ask()
    response = client.get("/*/a.css", {"Accept-Encoding": "gzip"})
    assert response.body == b"of a;of d;of c;"
    assert response.headers == {**COMMON, "Content-Type": "text/css", "Cache-Control": NO_CACHE}
    assert client.get("/*/po.js", {"Accept-Language": "de"}).body == b"po a;po c;"
    nothing = client.get("/*/nothing.css")
    assert (nothing.status, nothing.body) == (200, b"")


def test_a_page_of_every_package_has_the_strict_policy(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "a", {"x.html": "<p>"}, **{"content-security-policy": "default-src *"})
    assert "default-src 'self';" in ask().get("/*/x.html").headers["Content-Security-Policy"]


def test_all_manifests(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "a", {}, menu={"index": {"label": "\u00c4 </script>"}})
    write_package(home.data_dir, "b", {}, name="named")
    client = ask()
    plain = client.get("/manifests.json")
    manifests = {"a": {"menu": {"index": {"label": "\u00c4 </script>"}}}, "named": {"name": "named"}}
    assert json.loads(plain.body) == manifests
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.headers["Content-Length"] == str(len(plain.body))
    assert "ETag" not in plain.headers
    script = client.get("/manifests.js")
    assert script.headers["Content-Type"] == "application/javascript"
    assert script.headers["Content-Length"] == str(len(script.body))
    assert plain.body in script.body


def test_manifests_with_translations_from_before_they_had_files_of_their_own(home: Home, ask: Ask) -> None:
    write_package(home.data_home, "old", {"po.de.js": "old;"})
    write_package(home.data_home, "new", {"po.de.js": "no", "po.manifest.de.js": "new;"})
    client = ask()
    script = client.get("/manifests.js").body
    assert client.get("/manifests-i18n.js", {"Accept-Language": "de"}).body == b"new;\n;\nold;\n;\n" + script
    assert client.get("/*/po.manifest.js", {"Accept-Language": "de"}).body == b"new;"


def test_manifests_with_their_translations(home: Home, ask: Ask) -> None:
    """Each is ended: one that has no line feed behind its last comment, or no semicolon, swallows nothing."""
    write_package(home.data_home, "b", {"po.manifest.de.js": "manifest b;"})
    write_package(home.data_dir, "a", {"po.manifest.de.js.gz": packed("manifest a;"), "po.de.js": "no"})
    write_package(home.data_dir, "c", {"po.manifest.fr.js": "no"})
    client = ask()
    script = client.get("/manifests.js").body
    response = client.get("/manifests-i18n.js", {"Accept-Language": "de-at, fr"})
    assert response.body == b"manifest a;\n;\nmanifest b;\n;\nno\n;\n" + script
    assert (
        client.get("/manifests-i18n.js", {"Accept-Language": "de-at"}).body
        == b"manifest a;\n;\nmanifest b;\n;\n" + script
    )
    assert client.get("/manifests-i18n.js").body == script
    assert response.headers == {**COMMON, "Content-Type": "application/javascript", "Cache-Control": NO_CACHE}
