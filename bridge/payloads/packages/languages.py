"""Which translation is for whom: `po.js` is `po.LANG.js` in a language of Accept-Language."""

from collections.abc import Iterable
from typing import Final

from .accept import weights
from .bounds import LANGUAGE_CHARS, LANGUAGES

_SOURCE: Final = "en"
"""What untranslated texts are written in: whoever takes that needs no translation."""


def accepted_languages(header: str | None) -> list[str]:
    """Language keys to try, best first: each followed by its less specific forms (RFC 4647, section 3.4).

    The list ends where English comes; what is worse than no translation is not tried.
    """
    weighted = weights(header or "")
    # sorted() is stable: of equal weights the first one named is the better one.
    best = sorted((item for item in weighted if item[1] > 0), key=lambda item: -item[1])[:LANGUAGES]
    found: dict[str, None] = {}
    for tag, _ in best:
        if len(tag) > LANGUAGE_CHARS:
            continue
        for form in _forms(language_key(tag)):
            if form == _SOURCE:
                return list(found)
            found[form] = None
    return list(found)


def language_key(tag: str) -> str:
    """What spellings of one language have in common: `zh_CN` and `zh-cn` are the same."""
    return tag.lower().replace("_", "-")


def translations(names: Iterable[str], stem: str) -> dict[str, str]:
    """The translations among file names: `STEM.LANG.js`, be it packed or not, by language key."""
    found: dict[str, str] = {}
    for name in sorted(names):
        plain = name.removesuffix(".gz")
        if plain.startswith(f"{stem}.") and plain.endswith(".js"):
            language = plain[len(stem) + 1 : -len(".js")]
            if language and "." not in language:
                found.setdefault(language_key(language), plain)
    return found


def _forms(key: str) -> list[str]:
    """`zh-hans-cn`, `zh-hans`, `zh`."""
    parts = key.split("-")
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
