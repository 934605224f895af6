"""`/LoginMessages`: what PAM had to say when the user logged in."""

import os
from typing import Final

from ..base import Services
from .bus import Outlet
from .interface import method
from .limits import FILE_BYTES

VARIABLE: Final = "COCKPIT_LOGIN_MESSAGES_MEMFD"
"""The number of the descriptor that cockpit-session has left to the bridge; helpers do not get it."""

_NOTHING: Final = "{}"


class LoginMessages:
    """`cockpit.LoginMessages`."""

    interface = "cockpit.LoginMessages"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._messages = _NOTHING
        number = services.environ.get(VARIABLE)
        if number is not None:
            try:
                self._messages = read_messages(number)
            except (OSError, ValueError) as error:
                services.context.log.warning("login-messages", variable=VARIABLE, why=str(error))

    @method("Get", "", "s messages")
    def get(self) -> str:
        """As they were left, usually a JSON object."""
        return self._messages

    @method("Dismiss")
    def dismiss(self) -> None:
        self._messages = _NOTHING


def read_messages(number: str) -> str:
    """The text in the memfd of this number, which is closed; `{}` if there is none. Raises OSError, ValueError."""
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"found {number!r}, expected the number of a descriptor")
    fd = int(number)
    # Whoever started us may have closed it; the number may be a file of ours by now. We have no memfd of our own.
    if not os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:"):
        raise ValueError(f"descriptor {fd} is no memfd")
    try:
        data = os.pread(fd, FILE_BYTES + 1, 0)
    finally:
        os.close(fd)
    if len(data) > FILE_BYTES:
        raise ValueError(f"found more than {FILE_BYTES} bytes")
    return data.decode(errors="replace") or _NOTHING
