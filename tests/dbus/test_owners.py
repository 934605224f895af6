"""Who has which name: payloads/bus/owners, with a connection that says what a test says."""

from collections.abc import Callable
from typing import Any

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.match_rule import BUS_NAME, BUS_PATH
from spanbridge.payloads.bus.message import Message
from spanbridge.payloads.bus.owners import Owners

NAME = "com.example.Name"


class Rules:
    def add(self, rule: str, refused: Callable[..., None]) -> None: ...
    def remove(self, rule: str, refused: Callable[..., None]) -> None: ...


class Line:
    """Keeps what is to be done with the answers to questions."""

    def __init__(self) -> None:
        self.rules: Any = Rules()
        self.asked: list[Callable[[Message], None]] = []

    def call(self, message: Message, answered: Callable[[Message], None]) -> int:
        self.asked.append(answered)
        return len(self.asked)

    async def ask(self, message: Message) -> Message:
        raise NotImplementedError

    async def ask_for(self, signature: str, message: Message) -> list[Any]:
        raise NotImplementedError

    def fail(self, reason: str) -> None:
        raise AssertionError(reason)


def changed(old: str, new: str) -> Message:
    return wire.signal(BUS_PATH, BUS_NAME, "NameOwnerChanged", "sss", [NAME, old, new])


def test_what_was_said_before_the_answer_is_of_before() -> None:
    """A name that is asked for again: signals of the rule that it had before may still be on their way."""
    line = Line()
    owners = Owners(line)
    told: list[tuple[str, str | None]] = []

    def tell(name: str, owner: str | None) -> None:
        told.append((name, owner))

    owners.track(NAME, tell)
    owners.heed(changed(":1.1", ""))
    owners.heed(changed("", ":1.2"))
    assert told == []
    line.asked[0](Message(wire.REPLY, signature="s", body=wire.call("/", None, "M", "s", [":1.2"]).body))
    owners.heed(changed(":1.2", ":1.3"))
    assert told == [(NAME, ":1.2"), (NAME, ":1.3")]
