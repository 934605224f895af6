"""In what answers are meant to differ from those of the C cockpit-bridge (docs/packages.md, "Differences")."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .client import CHECKSUM, NO_CACHE, Response

# Those that show in any answer: `expected` makes of theirs what ours is to be.
VALUE: Final = "The value of the checksum"
EVERYWHERE: Final = "Checksum, origin and caching in every answer"
ERRORS: Final = "What an error says"
POLICY: Final = "The origin in the policy"
TYPES: Final = "Types of files"
ANY_CODING: Final = "No Accept-Encoding"
SCRIPT: Final = "The script of the manifests"
MANIFESTS: Final = "What the manifests say"

# Those that show in answers to certain requests: each such request is named in the test.
METHODS: Final = "Methods and data"
PATHS: Final = "Paths that are none"
DIRECTORIES: Final = "Directories"
ORDER: Final = "Packed before minimised"
MIN: Final = "`test.js.min`"
DAMAGED: Final = "Damaged gzip"
MEMBERS: Final = "gzip of several members"
CODINGS: Final = "gzip refused by name"
LANGUAGES: Final = "More than one language"
SPELLING: Final = "The spelling of a language"
I18N: Final = "`/manifests-i18n.js`"
ORIGINS: Final = "An origin that is none"
ALL_PAGES: Final = "The policy of a page of all packages"
DIRECTIVES: Final = "Names of directives"
TEXT: Final = "Channels for text"
CACHED: Final = "Caching of a file named `po.js`"
UNUSABLE: Final = "Packages with something odd in them"

MEANT: Final = (
    *(VALUE, EVERYWHERE, ERRORS, POLICY, TYPES, ANY_CODING, SCRIPT, MANIFESTS),
    *(METHODS, PATHS, DIRECTORIES, ORDER, MIN, DAMAGED, MEMBERS, CODINGS, LANGUAGES, SPELLING, I18N, ORIGINS),
    *(ALL_PAGES, DIRECTIVES, TEXT, CACHED, UNUSABLE),
)

_TYPES_OF_OURS: Final = {
    "gz": "application/gzip",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "map": "application/json",
    "mjs": "application/javascript",
    "pdf": "application/pdf",
    "webp": "image/webp",
    "woff2": "font/woff2",
}
_REASONS: Final = {403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}
_MANIFESTS: Final = ("/manifests.json", "/manifests.js")


@dataclass(frozen=True)
class Seen:
    """What of an answer is compared."""

    status: int
    """0 where the channel was closed with a problem."""
    reason: str
    """Or the problem."""
    headers: Mapping[str, str]
    content: Any
    """The body; of manifests, the manifests; of an error, nothing."""


def see(path: str, request: Mapping[str, str], response: Response) -> Seen:
    """What came, without what the request leaves to the bridge."""
    if response.problem is not None:
        return Seen(0, response.problem, {}, None)
    headers = dict(response.headers)
    content: Any = response.body
    if "Accept-Encoding" not in request:
        content = response.content
        headers.pop("Content-Encoding", None)
    if response.status != 200:
        content = None
    elif path in _MANIFESTS:
        assert headers.pop("Content-Length") == str(len(content))
        content = _manifests(content.decode())
    return Seen(response.status, response.head["reason"], headers, content)


def expected(path: str, request: Mapping[str, str], theirs: Seen, checksum: str | None) -> Seen:
    """What ours is to be: theirs, but for what differs in any answer. `checksum` is ours, None if there is none."""
    if not theirs.status:
        return theirs
    headers, reason, content = dict(theirs.headers), theirs.reason, theirs.content
    origin = (
        f"{request['X-Forwarded-Proto']}://{request['X-Forwarded-Host']}" if "X-Forwarded-Host" in request else None
    )
    if theirs.status != 200:
        reason = _REASONS[theirs.status]
        headers["Content-Type"] = "text/plain"
    else:
        assert (CHECKSUM in headers) == (checksum is not None)
    headers.pop(CHECKSUM, None)
    if checksum is not None:
        headers[CHECKSUM] = checksum
    else:
        headers["Cache-Control"] = NO_CACHE
    if "ETag" in headers:
        headers["ETag"] = f'"${checksum}"'
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
    if "Content-Type" not in headers:
        headers["Content-Type"] = _TYPES_OF_OURS.get(path.rpartition(".")[2], "text/plain")
    if "Content-Security-Policy" in headers:
        headers["Content-Security-Policy"] = _policy(headers["Content-Security-Policy"], origin)
    if path == "/checksum":
        assert (content != b"") == (checksum is not None)
        content = (checksum or "").encode()
    elif path in _MANIFESTS:
        content = _ours(content, checksum)
    return Seen(theirs.status, reason, headers, content)


def comparable(manifests: Any) -> Any:
    """Manifests without their policies, and without the place of the askpass program, which each bridge has its own."""
    if isinstance(manifests, str) and manifests.endswith("-askpass"):
        return f"{manifests.partition('=')[0]}=askpass"
    if isinstance(manifests, list):
        return [comparable(item) for item in manifests]
    if isinstance(manifests, dict):
        return {name: comparable(item) for name, item in manifests.items() if name != "content-security-policy"}
    return manifests


def _policy(theirs: str, origin: str | None) -> str:
    """Their policy without what they repeat beside 'self': scheme and host, by default that of "packages"."""
    shown = origin or "http://packages"
    websocket = shown.replace("http", "ws", 1)
    ours = theirs.replace(f" {shown}", "")
    return ours if origin else ours.replace(f" {websocket}", "")


def _ours(manifests: dict[str, Any], checksum: str | None) -> dict[str, Any]:
    marked = [manifests, *(manifest for name, manifest in manifests.items() if name != ".checksum")]
    for each in marked:
        assert (".checksum" in each) == (checksum is not None)
        if checksum is not None:
            each[".checksum"] = checksum
    return manifests


def _manifests(text: str) -> Any:
    """The first thing in a script that is JSON."""
    for start in (index for index, char in enumerate(text) if char == "{"):
        try:
            return json.JSONDecoder().raw_decode(text, start)[0]
        except json.JSONDecodeError:
            continue
    raise AssertionError(f"no manifests in {text[:300]}")
