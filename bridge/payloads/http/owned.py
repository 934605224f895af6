"""Headers that are the bridge's own: nobody may set them."""

from typing import Final

OWNED: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-md5",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The bridge's own, on any channel."""

OWNED_ON_TEXT: Final = frozenset(
    {"accept-charset", "accept-encoding", "accept-ranges", "content-encoding", "content-range", "range"}
)
"""The same on text channels."""
