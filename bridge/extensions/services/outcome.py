"""What came of one attempt to deliver."""

from typing import Final, NamedTuple

RETRY_MOST_SECONDS: Final = 3600.0
"""So long a server may ask to be waited for."""


class Outcome(NamedTuple):
    """`status`: of the answer; 0: there was none, and `why` tells. `retry_after`: seconds that the server asks for."""

    status: int
    why: str = ""
    retry_after: float = 0.0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300
