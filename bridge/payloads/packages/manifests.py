"""All manifests, as JSON and as a script."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from spanbridge.manifests.model import Package

CHECKSUM: Final = ".checksum"
"""Member of the object, and of each manifest in it, that holds the bundle checksum."""

_SCRIPT: Final = b"""\
(function (manifests) {
    if (typeof define === "function")
        define(manifests);
    else if (typeof cockpit === "object" && cockpit)
        cockpit.manifests = manifests;
    else
        globalThis.manifests = manifests;
})(%b);
"""


def manifests_json(packages: Iterable[Package], checksum: str | None) -> bytes:
    """The manifests in force, by package name."""
    mark: dict[str, Any] = {} if checksum is None else {CHECKSUM: checksum}
    return msgspec.json.encode({**mark, **{package.name: {**package.manifest, **mark} for package in packages}})


def manifests_script(packages: Iterable[Package], checksum: str | None) -> bytes:
    """The same as a script that hands them to `define`, or to `cockpit`, or to the global object."""
    return _SCRIPT % manifests_json(packages, checksum)
