"""Content-Type by file name."""

from typing import Final

UNKNOWN: Final = "text/plain"
HTML: Final = "text/html"
SCRIPT: Final = "application/javascript"
JSON: Final = "application/json"

# Some of the names are old ones: they are what front ends have been given for these files all along.
_TYPES: Final = {
    "css": "text/css",
    "eot": "application/vnd.ms-fontobject",
    "gif": "image/gif",
    "gz": "application/gzip",
    "html": HTML,
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpg",
    "js": SCRIPT,
    "json": JSON,
    "map": JSON,
    "mjs": SCRIPT,
    "otf": "font/opentype",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ttf": "application/octet-stream",
    "txt": "text/plain",
    "wasm": "application/wasm",
    "webp": "image/webp",
    "woff": "application/font-woff",
    "woff2": "font/woff2",
    "xml": "text/xml",
}


def content_type(name: str) -> str:
    """The type of a file, by what follows the last dot of its name, upper and lower case alike."""
    return _TYPES.get(name.rpartition("/")[2].rpartition(".")[2].lower(), UNKNOWN)
