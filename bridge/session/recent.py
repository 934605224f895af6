"""The last decision: an open that differs from the one before in nothing but its channel goes where that one went.

A front end opens many channels with the same members. Decoding the open, finding the rule, expanding it and looking up
the helper is most of what such an open costs.
"""

from spanbridge.protocol.alike import Alike
from spanbridge.protocol.frames import control_payload

from ..helpers.helper import Helper
from ..helpers.opening import Opening
from .groups import About, about_of


class Recent:
    """Remembers one open, for this host. `opening` is that, `helper` who has it, `about` its group and host."""

    __slots__ = ("_alike", "about", "channel", "helper", "opening")

    def __init__(self) -> None:
        self.helper: Helper | None = None
        self.opening: Opening | None = None
        self.about: About = (None, None)
        self._alike = Alike()
        self.channel = self._alike.channel

    def forget(self) -> None:
        """Remember nothing: whoever is remembered may be gone."""
        self.helper = self.opening = None
        self._alike.forget()

    def note(self, opening: Opening, helper: Helper) -> None:
        """Remember an open that `helper` serves, unless its channel has to do with that."""
        if opening.router.heeds_channel(opening.tried) or opening.frame is not opening.came:
            return
        self.opening, self.helper = opening, helper
        self.about = about_of(opening.message)
        self._alike.note(control_payload(opening.came), opening.ident)
