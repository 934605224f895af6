"""The last decision: an open that differs from the one before in nothing but its channel goes where that one went.

A front end opens many channels with the same members. Finding the rule, expanding it and looking up the helper is half
of what such an open costs.
"""

from typing import Any

from ..helpers.helper import Helper
from ..helpers.life import READY
from ..helpers.opening import Rules
from .groups import About, about_of


class Recent:
    """Remembers one open. `about` is its group and host."""

    __slots__ = ("_channel", "_helper", "_message", "_router", "about")

    def __init__(self) -> None:
        self._channel = ""
        self._message: dict[str, Any] = {}
        self._helper: Helper | None = None
        self._router: Rules | None = None
        self.about: About = (None, None)

    def helper(self, message: dict[str, Any], router: Rules) -> Helper | None:
        """Who serves an open like the one remembered, under the same rules; None where that has to be found."""
        helper = self._helper
        if helper is None or helper.life.state != READY or router is not self._router:
            return None
        channel = message["channel"]
        message["channel"] = self._channel
        same = message == self._message
        message["channel"] = channel
        return helper if same else None

    def forget(self) -> None:
        """Remember nothing: whoever is remembered may be gone."""
        self._helper = self._router = None
        self._message = {}

    def note(self, message: dict[str, Any], router: Rules, position: int, helper: Helper) -> None:
        """Remember an open for this host that the rule at `position` serves, if it may be.

        All its members have to be strings: to Python 1, 1.0 and true are the same, to a rule they are not.
        """
        if router.heeds_channel(position) or any(type(value) is not str for value in message.values()):
            return
        self._channel, self._message, self._router, self._helper = message["channel"], message, router, helper
        self.about = about_of(message)
