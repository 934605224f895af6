"""From a request to status, headers and body (docs/packages.md)."""

import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final

import msgspec

from spanbridge.manifests.model import Package

from ...log import Log
from . import paths
from .accept import allows_gzip
from .bodies import Body, bytes_body, file_body, joined
from .content_types import HTML, JSON, SCRIPT, UNKNOWN, content_type
from .files import MissingError, UnreadableError
from .gunzip import BadGzipError
from .languages import accepted_languages
from .library import Edition, Library
from .listing import Listing
from .lookup import Found, find_file, find_translation
from .manifests import manifests_json, manifests_script
from .policy import Origin, read_origin, security_policy
from .reading import Reading

OK: Final = 200
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
INTERNAL_SERVER_ERROR: Final = 500

REASONS: Final[Mapping[int, str]] = {
    OK: "OK",
    BAD_REQUEST: "Bad Request",
    FORBIDDEN: "Forbidden",
    NOT_FOUND: "Not Found",
    INTERNAL_SERVER_ERROR: "Internal Server Error",
}

_PO: Final = "po.js"
_PO_MANIFEST: Final = "po.manifest.js"
_TRANSLATED: Final = frozenset({_PO, _PO_MANIFEST})
"""Files of these names stand for one in the language of whoever asks."""
_BETWEEN_SCRIPTS: Final = b"\n;\n"
"""Ends a comment without a line feed, as bundlers write it, and a statement without a semicolon: neither is to swallow
what comes next."""
_ALWAYS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Frame-Options": "sameorigin",
}


class Request(msgspec.Struct, frozen=True):
    """What a front end asks for."""

    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    text: bool
    """The answer goes to a channel for text: it is unpacked."""


class Answer(msgspec.Struct, frozen=True):
    """What it gets. Whoever has it closes the body at last."""

    status: int
    headers: dict[str, str]
    body: Reading


class RefusedError(Exception):
    """The request itself is wrong: `status` says how, the text what was expected."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def answer(request: Request, library: Library, log: Log, refusal: RefusedError | None = None) -> Answer:
    """The answer to a request, or to one that is refused already.

    Whatever goes wrong becomes a status, and what should not have gone wrong a line of the log too.
    """
    edition = None
    try:
        edition = await library.current()
        if refusal is not None:
            raise refusal
        return await _Desk(request, edition, library, log).serve()
    except MissingError:
        return await _failure(request, edition, NOT_FOUND, "there is no such file, or no such package")
    except UnreadableError:
        return await _failure(request, edition, FORBIDDEN, "this file may not be read")
    except RefusedError as error:
        return await _failure(request, edition, error.status, str(error))
    except Exception as error:  # noqa: BLE001 -- a file that breaks something must not break the session
        why = str(error) or type(error).__name__
        log.error("package-file", path=request.path, why=why)
        return await _failure(request, edition, INTERNAL_SERVER_ERROR, why)


class _Desk:
    """Serves one request."""

    def __init__(self, request: Request, edition: Edition, library: Library, log: Log) -> None:
        self._request = request
        self._edition = edition
        self._library = library
        self._log = log
        self._origin = read_origin(request.headers)
        self._languages = accepted_languages(request.headers.get("accept-language"))

    async def serve(self) -> Answer:
        target = paths.read_path(self._request.path)
        if target is None:
            raise MissingError(self._request.path)
        if isinstance(target, str):
            return await self._about_all(target)
        if target.package == paths.EVERY:
            return await self._from_every(target.file)
        return await self._from_one(target.package, target.file)

    async def _about_all(self, path: str) -> Answer:
        """The paths that are about all packages."""
        packages, checksum = self._edition.packages.values(), self._edition.checksum
        if path == paths.CHECKSUM:
            return await self._made_here((checksum or "").encode(), UNKNOWN)
        tag = {"ETag": f'"${checksum}"'} if self._edition.cacheable else {}
        if path == paths.MANIFESTS_JSON:
            return await self._made_here(manifests_json(packages, checksum), JSON, tag)
        script = manifests_script(packages, checksum)
        if path == paths.MANIFESTS_JS:
            return await self._made_here(script, SCRIPT, tag)
        # A package built before the two were parted has the texts of its manifest among all others.
        translations = self._each_file([_PO_MANIFEST, _PO], await self._shelves(), _BETWEEN_SCRIPTS)
        return self._answer(SCRIPT, await self._read(joined(translations, bytes_body(script))), cached=False)

    async def _made_here(self, content: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Answer:
        length = {"Content-Length": str(len(content))}
        return self._answer(kind, await _written(content), {**length, **(headers or {})})

    async def _from_every(self, file: str) -> Answer:
        """A file of every package, one after another."""
        kind = content_type(file)
        # What a page made of many packages may do is for none of them to say.
        headers = self._policy("", kind)
        body = await self._read(self._each_file([file], await self._shelves()))
        return self._answer(kind, body, headers, cached=False)

    async def _from_one(self, name: str, file: str) -> Answer:
        package = self._edition.packages.get(name)
        if package is None:
            raise MissingError(name)
        kind, translated = content_type(file), _is_translated(file)
        listing = await self._library.listing(package)
        takes_gzip = not self._request.text and allows_gzip(self._request.headers.get("accept-encoding"))
        packed = False

        def pieces() -> Generator[bytes, None, None]:
            nonlocal packed
            found = self._find(package, file, listing)
            packed = found.packed
            with ExitStack() as held:
                held.callback(os.close, found.descriptor)
                yield from file_body(found.descriptor, unpack=packed and not takes_gzip)()

        try:
            body = await self._read(pieces)
        except MissingError:
            if not translated:
                raise
            return self._answer(kind, await _written(b""), cached=False)
        headers = self._policy(self._edition.policies[name], kind)
        if packed and takes_gzip:
            headers["Content-Encoding"] = "gzip"
        return self._answer(kind, body, headers, cached=not translated)

    def _find(self, package: Package, file: str, listing: Listing | None) -> Found:
        if _is_translated(file):
            return find_translation(package.path, file, self._languages, listing)
        return find_file(package.path, file, listing)

    def _find_first(self, package: Package, names: list[str], listing: Listing | None) -> Found:
        for name in names[:-1]:
            try:
                return self._find(package, name, listing)
            except MissingError:
                continue
        return self._find(package, names[-1], listing)

    async def _shelves(self) -> list[tuple[Package, Listing | None]]:
        return [(package, await self._library.listing(package)) for package in self._edition.packages.values()]

    def _each_file(self, names: list[str], shelves: list[tuple[Package, Listing | None]], behind: bytes = b"") -> Body:
        """The first of these files that it has, of every package, unpacked, with `behind` behind each.

        One that cannot be read is left out, and logged once.
        """
        left_out: set[str] = set()

        def leave_out(package: Package, why: str) -> None:
            if package.name not in left_out:
                left_out.add(package.name)
                tell = partial(self._log.warning, "package-file-left-out", package=package.name, file=names[0], why=why)
                self._library.loop.call_soon_threadsafe(tell)

        def pieces() -> Generator[bytes, None, None]:
            for package, listing in shelves:
                try:
                    found = self._find_first(package, names, listing)
                except MissingError:
                    continue
                except UnreadableError:
                    leave_out(package, "it may not be read")
                    continue
                with ExitStack() as held:
                    held.callback(os.close, found.descriptor)
                    content = file_body(found.descriptor, unpack=found.packed)()
                    try:
                        first = next(content, b"")
                    except BadGzipError as error:
                        leave_out(package, str(error))
                        continue
                    except OSError as error:
                        leave_out(package, error.strerror or str(error))
                        continue
                    yield first
                    yield from content
                    if behind:
                        yield behind

        return pieces

    async def _read(self, body: Body) -> Reading:
        """A body, once the beginning of it has been found to be good."""
        reading = Reading(self._library.jobs, body)
        await reading.begin()
        return reading

    def _answer(
        self, kind: str, body: Reading, headers: Mapping[str, str] | None = None, *, cached: bool = True
    ) -> Answer:
        """`kind` is the Content-Type. `cached`: it may be, if anything may."""
        common = _common(self._edition, self._origin, cached=cached)
        return Answer(OK, {**common, "Content-Type": kind, **(headers or {})}, body)

    def _policy(self, policy: str, kind: str) -> dict[str, str]:
        return {"Content-Security-Policy": security_policy(policy, self._origin)} if kind == HTML else {}


async def _written(content: bytes) -> Reading:
    reading = Reading(None, bytes_body(content))
    await reading.begin()
    return reading


async def _failure(request: Request, edition: Edition | None, status: int, message: str) -> Answer:
    headers = {**_common(edition, read_origin(request.headers), cached=True), "Content-Type": UNKNOWN}
    return Answer(status, headers, await _written(f"{REASONS[status]}: {message}\n".encode()))


def _common(edition: Edition | None, origin: Origin | None, *, cached: bool) -> dict[str, str]:
    headers = dict(_ALWAYS)
    if edition is not None and edition.checksum is not None:
        headers["X-Cockpit-Pkg-Checksum"] = edition.checksum
    if edition is None or not edition.cacheable or not cached:
        headers["Cache-Control"] = "no-cache, no-store"
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = str(origin)
    return headers


def _is_translated(file: str) -> bool:
    return file.rpartition("/")[2] in _TRANSLATED
