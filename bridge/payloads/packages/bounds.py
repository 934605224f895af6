"""The limits of serving package files that are no settings: they bound what one request can ask for."""

from typing import Final

MESSAGE_BYTES: Final = 64 << 10
"""Longest data message of a body (docs/packages.md, "The channel")."""
PATH_CHARS: Final = 4_096
"""Longest path looked up, which is PATH_MAX; a longer one names nothing."""
LANGUAGES: Final = 32
"""Languages of one Accept-Language that are looked at, the best ones first."""
LANGUAGE_CHARS: Final = 35
"""Longest language tag looked at (RFC 5646, section 4.4.1: what software must at least take)."""
