"""One checksum over all packages: what a browser has under it stays good as long as it is the same."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping

import msgspec

from spanbridge.manifests.model import Package

from .bounds import MESSAGE_BYTES
from .files import MissingError, UnreadableError, open_file
from .listing import Listing


def bundle_checksum(
    packages: Iterable[Package], listings: Mapping[str, Listing], checkpoint: Callable[[], None] = lambda: None
) -> str:
    """SHA-256, in hexadecimal, over the names and manifests of packages, and names, sizes and contents of their files.

    The manifests are those in force, overrides and all: they are served too. `listings` are by package directory.
    Blocks; `checkpoint` is called between two pieces of a file, and ends the work by raising.
    """
    whole = hashlib.sha256()
    for package in sorted(packages, key=lambda package: package.name):
        whole.update(_record(package.name, package.manifest))
        for file in listings[package.path].files():
            whole.update(_record(file, *_contents(package.path, file, checkpoint)))
    return whole.hexdigest()


def _record(*members: object) -> bytes:
    """As JSON, one a line: whatever the names are, two different bundles give different bytes."""
    return msgspec.json.encode(members, order="sorted") + b"\n"


def _contents(directory: str, file: str, checkpoint: Callable[[], None]) -> tuple[int, str] | tuple[None]:
    """Size and digest; None for a file that we cannot read, and so cannot serve either."""
    try:
        descriptor = open_file(directory, file)
    except (MissingError, UnreadableError, OSError):
        return (None,)
    try:
        digest, size = hashlib.sha256(), 0
        while piece := os.read(descriptor, 4 * MESSAGE_BYTES):
            checkpoint()
            digest.update(piece)
            size += len(piece)
    except OSError:
        return (None,)
    finally:
        os.close(descriptor)
    return size, digest.hexdigest()
