"""The packages and rules of this machine, for the daemon and the tools alike."""

import sys
from collections.abc import Mapping
from typing import Final

from msgspec import structs

from spanbridge.manifests.load import load as load_catalog
from spanbridge.manifests.model import Catalog, Rule

from .installed import GENERATION, askpass
from .limits import Limits
from .log import Log

BUILT_IN: Final = "built in"
"""The source of a rule that is in no manifest."""

EXTENSION_PAYLOADS: Final = ("extension-events", "http-stream2")
"""What the helper of extensions serves (docs/extensions-reference.md)."""


def load(environ: Mapping[str, str], manifest_bytes: int = Limits().manifest_bytes) -> Catalog:
    """What the manifests say now."""
    return load_catalog(environ, generation=GENERATION, askpass=askpass(), max_bytes=manifest_bytes)


def with_own_rules(catalog: Catalog) -> Catalog:
    """The catalog with our own rule behind all others: extensions are served by a helper (docs/extensions.md)."""
    command = (sys.executable, "-I", "-m", "spanbridge.extensions.relay.relay")
    rule = Rule("spanbridge", 0, BUILT_IN, {"internal": "extensions"}, command)
    return structs.replace(catalog, rules=(*catalog.rules, rule))


def tell_defects(log: Log, catalog: Catalog) -> None:
    """A line for each; as an error where something may go on that was to be refused."""
    for defect in catalog.defects:
        (log.error if defect.restricts else log.warning)("manifest", defect=str(defect))
