"""Rules that name `host`: their helpers serve another machine (docs/protocol.md, "Helpers").

Such a helper may ask before its `init`, as Debian's cockpit-ssh does: for a password, or whether a host key is trusted.
The members of the open that started it answer; these go no further than that.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

from spanbridge.protocol.control import read_object
from spanbridge.protocol.frames import control_payload

from .attendant import Asker, Attendant

SECRETS: Final = ("password", "host-key")
"""Members of an open for another host that are not passed on."""

_USER_AND_NAME: Final = "@"


def without_secrets(message: dict[str, Any]) -> dict[str, Any]:
    """The open as it is passed on; the same object where it has none."""
    if not any(name in message for name in SECRETS):
        return message
    return {name: value for name, value in message.items() if name not in SECRETS}


def without_what_its_name_says(message: dict[str, Any], came: bytes) -> dict[str, Any]:
    """The open without a host key that came in the name of the host (name+key+value), which is no reason to trust it.
    `came` is the open as the front end has written it."""
    if "host-key" not in message or "host-key" in read_object(control_payload(came)):
        return message
    return {name: value for name, value in message.items() if name != "host-key"}


def answering(message: Mapping[str, Any], user: str) -> Attendant:
    """Who answers what a helper asks that this open has started. `user`: whom the session is of."""
    answers = Answers(message, user)

    def asked(asker: Asker, question: dict[str, Any]) -> None:
        challenge = question.get("challenge")
        asker.answer(question, answers.to(challenge if isinstance(challenge, str) else ""))

    return asked


class Answers:
    """What the members of an open answer; the password, asked for plainly, once."""

    __slots__ = ("_host_key", "_password", "_plain", "_user")

    def __init__(self, message: Mapping[str, Any], user: str) -> None:
        named = message.get("user")
        in_host, at, _ = str(message.get("host", "")).rpartition(_USER_AND_NAME)
        self._user = named if isinstance(named, str) and named else in_host if at and in_host else user
        self._password = _text(message, "password")
        self._host_key = _text(message, "host-key")
        self._plain = self._password

    def to(self, challenge: str) -> str:
        """The response; empty where there is none."""
        kind = challenge.partition(" ")[0].partition(":")[0].lower()
        if kind == "basic" and self._password:
            pair = f"{self._user}:{self._password}".encode(errors="surrogatepass")
            return f"Basic {base64.b64encode(pair).decode()}"
        if kind == "x-host-key" and self._host_key:
            return f"x-host-key {self._host_key}"
        if kind == "plain1":
            plain, self._plain = self._plain, ""
            return plain
        return ""


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
