"""What one session knows of its packages: made when a request first asks, and anew when the catalog has changed."""

import threading
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from anyio import Lock, Semaphore

from spanbridge.manifests.model import Catalog, Package

from ..base import Services
from ..served.jobs import Jobs
from .checksum import bundle_checksum
from .listing import Listing, list_files
from .policy import policy_of

Made = TypeVar("Made")


class _LeftError(Exception):
    """Nobody waits any more."""


class Edition(msgspec.Struct, frozen=True):
    """The packages as they are between two reloads."""

    catalog: Catalog
    packages: Mapping[str, Package]
    """By name."""
    checksum: str | None
    """The bundle checksum that this session goes by, None if it has none."""
    cacheable: bool
    """Whether the packages are those that the checksum was made of."""
    policies: Mapping[str, str]
    """The security policies that manifests ask for, by package name."""


class Library:
    """One for a session (Services.once); `current` is what to answer from.

    `slots` bounds the answers in the making, `jobs` is for what blocks.
    """

    def __init__(self, services: Services) -> None:
        self.slots: Final = Semaphore(services.context.limits.package_answers)
        self.jobs: Final = services.once(Jobs)
        self.loop: Final = services.context.loop
        self._services = services
        self._most_files = services.context.limits.package_files
        self._loading = Lock()
        self._edition: Edition | None = None
        self._listings: dict[str, Listing] = {}  # by package directory; others begin with each edition
        self._listing: dict[str, Lock] = {}  # held while that directory is listed
        self._announced: str | None = None

    async def current(self) -> Edition:
        """The edition of the catalog in force. Whoever asks first waits until it is made, in a thread."""
        async with self._loading:
            while self._edition is None or self._edition.catalog is not self._services.catalog():
                self._edition = None
                self._edition = await self._load(self._services.catalog())
            return self._edition

    async def listing(self, package: Package) -> Listing | None:
        """The files of a package; None for one of the user's, which is looked at afresh at each request."""
        if package.user:
            return None
        listings, path = self._listings, package.path
        if path not in listings:
            async with self._listing.setdefault(path, Lock()):
                if path not in listings:
                    found = await self._away(lambda check: list_files(path, check, self._most_files))
                    self._note(package, found, listings)
        return listings[path]

    async def _away(self, make: Callable[[Callable[[], None]], Made]) -> Made:
        """What it makes, in a thread; it is given what ends it, once nobody waits any more, by raising."""
        left = threading.Event()

        def checkpoint() -> None:
            if left.is_set():
                raise _LeftError

        try:
            return await self.jobs.run(make, checkpoint)
        finally:
            left.set()

    async def _load(self, catalog: Catalog) -> Edition:
        self._listings = {}
        checksum = None
        if not any(package.user for package in catalog.packages):
            checksum = await self._bundle(catalog)
        # A browser goes by the first checksum for as long as the session lasts (docs/packages.md, "Caching").
        self._announced = self._announced or checksum
        return Edition(
            catalog=catalog,
            packages={package.name: package for package in catalog.packages},
            checksum=self._announced,
            cacheable=checksum is not None and checksum == self._announced,
            policies={package.name: self._policy(package) for package in catalog.packages},
        )

    def _policy(self, package: Package) -> str:
        try:
            return policy_of(package.manifest)
        except ValueError as error:
            self._services.context.log.warning("package", package=package.name, defect=str(error))
            return ""

    async def _bundle(self, catalog: Catalog) -> str | None:
        listings, checksum = await self._away(lambda check: _list_and_sum(catalog, check, self._most_files))
        for package in catalog.packages:
            self._note(package, listings[package.path], self._listings)
        return checksum

    def _note(self, package: Package, listing: Listing, listings: dict[str, Listing]) -> None:
        listings[package.path] = listing
        log = self._services.context.log
        if not listing.complete:
            log.limit("package_files", self._most_files, package=package.name)
        for directory in sorted(listing.unlisted) if listing.complete else ():
            log.warning("package", unreadable=f"{package.path}/{directory}")


def _list_and_sum(
    catalog: Catalog, checkpoint: Callable[[], None], limit: int
) -> tuple[dict[str, Listing], str | None]:
    listings = {package.path: list_files(package.path, checkpoint, limit) for package in catalog.packages}
    if not all(listing.complete for listing in listings.values()):
        return listings, None
    return listings, bundle_checksum(catalog.packages, listings, checkpoint)
