"""Every limit of serving package files, in one place."""

from typing import Final

MESSAGE_BYTES: Final = 64 << 10
"""Longest data message of a body (docs/packages.md, "The channel")."""
ANSWERS: Final = 32
"""Answers in the making at once; each holds one file open. Further ones wait for their turn."""
PATH_CHARS: Final = 4_096
"""Longest path looked up, which is PATH_MAX; a longer one names nothing."""
LANGUAGES: Final = 32
"""Languages of one Accept-Language that are looked at, the best ones first."""
LANGUAGE_CHARS: Final = 35
"""Longest language tag looked at (RFC 5646, section 4.4.1: what software must at least take)."""
LISTED_FILES: Final = 100_000
"""Files of one package that are listed ahead. One with more has no part in a checksum, so there is none."""
