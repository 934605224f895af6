"""Accept headers: weights, encodings, languages."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.payloads.packages.accept import allows_gzip, weights
from spanbridge.payloads.packages.bounds import LANGUAGE_CHARS, LANGUAGES
from spanbridge.payloads.packages.languages import accepted_languages, language_key, translations


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("gzip", [("gzip", 1.0)]),
        (" GZIP ; Q=0.5 , br", [("gzip", 0.5), ("br", 1.0)]),
        ("a;q=1.000, b;q=0., c;q=0.123", [("a", 1.0), ("b", 0.0), ("c", 0.123)]),
        ("a;level=3;q=0.2", [("a", 0.2)]),
        ("a;q=2, b;q=-1, c;q=x, d;q=, e;q=0.1234, f;q=1.1", []),
        (",,;q=1,a", [("a", 1.0)]),
    ],
)
def test_weights(header: str, found: list[tuple[str, float]]) -> None:
    assert weights(header) == found


@pytest.mark.parametrize("header", [None, "gzip", "deflate, gzip;q=0.1", "*", "GZIP", "br;q=0, *;q=0.5"])
def test_gzip_is_allowed(header: str | None) -> None:
    assert allows_gzip(header)


@pytest.mark.parametrize("header", ["", "identity", "gzip;q=0", "gzip;q=0, *", "*;q=0", "br", "gzip;q=none"])
def test_gzip_is_not_allowed(header: str) -> None:
    assert not allows_gzip(header)


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        (None, []),
        ("", []),
        ("de", ["de"]),
        ("zh-cn", ["zh-cn", "zh"]),
        ("zh_CN", ["zh-cn", "zh"]),
        ("zh-Hans-CN", ["zh-hans-cn", "zh-hans", "zh"]),
        ("de;q=0.2, fr;q=0.9", ["fr", "de"]),
        ("de-AT, de-CH, fr", ["de-at", "de", "de-ch", "fr"]),
        ("de;q=0, fr", ["fr"]),
        ("en, de", []),
        ("fr, en, de", ["fr"]),
        ("fr;q=0.5, en-GB, de", ["en-gb"]),
        ("pt-br, en-us;q=0.9, de;q=0.8", ["pt-br", "pt", "en-us"]),
        ("de;q=0.4, en;q=0.5", []),
    ],
)
def test_languages_to_try(header: str | None, languages: list[str]) -> None:
    assert accepted_languages(header) == languages


TAGS = st.text("abcdeEN-_*;q=.0159 ,", max_size=120)


@given(TAGS)
@example("de-" * 10_000)
@example("a," * 10_000)
@example(",".join(f"l{number}" for number in range(1_000)))
def test_languages_are_few_and_end_where_english_comes(header: str) -> None:
    found = accepted_languages(header)
    assert "en" not in found
    assert len(found) == len(set(found))
    assert len(found) <= LANGUAGES * LANGUAGE_CHARS
    for language in found:
        assert language == language_key(language)
        parent = language.rpartition("-")[0]
        assert not parent or parent == "en" or parent in found


@given(st.lists(st.sampled_from(["de", "fr", "pt-br", "zh-cn", "en-gb"]), unique=True))
def test_spelling_does_not_matter(tags: list[str]) -> None:
    spelled = [tag.replace("-", "_").upper() for tag in tags]
    assert accepted_languages(",".join(spelled)) == accepted_languages(",".join(tags))


@given(st.permutations(["de;q=0.9", "fr;q=0.8", "it;q=0.7"]))
def test_the_order_of_different_weights_does_not_matter(elements: list[str]) -> None:
    assert accepted_languages(",".join(elements)) == ["de", "fr", "it"]


def test_translations_among_files() -> None:
    names = [
        "po.js",
        "po.de.js",
        "po.pt_BR.js.gz",
        "po.zh-CN.js",
        "po.zh_CN.js",
        "po.fr.min.js",
        "po.fr.css",
        "x.it.js",
    ]
    assert translations(names, "po") == {"de": "po.de.js", "pt-br": "po.pt_BR.js", "zh-cn": "po.zh-CN.js"}
    assert translations(["po.manifest.de.js", "po.de.js"], "po.manifest") == {"de": "po.manifest.de.js"}
