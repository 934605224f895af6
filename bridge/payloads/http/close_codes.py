"""Codes with which a server closes a WebSocket (RFC 6455, 7.4), and what they mean for the channel."""

from typing import Final

from spanbridge.protocol.problems import (
    ACCESS_DENIED,
    INTERNAL_ERROR,
    PROTOCOL_ERROR,
    TOO_LARGE,
)

CLEAN: Final = frozenset({1000, 1001, 1005})
"""Codes of close frames that are no problem; 1005 stands for none."""

PROBLEMS: Final = {
    1002: PROTOCOL_ERROR,
    1003: PROTOCOL_ERROR,
    1007: PROTOCOL_ERROR,
    1008: ACCESS_DENIED,
    1009: TOO_LARGE,
    1010: PROTOCOL_ERROR,
    1011: INTERNAL_ERROR,
    1012: INTERNAL_ERROR,
    1013: INTERNAL_ERROR,
    1014: INTERNAL_ERROR,
}
"""What other codes mean. All that are not here are DISCONNECTED."""
