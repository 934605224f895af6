"""A system bus that answers something else, nothing, or without end, when it is asked whether there is systemd."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message
from dbus_fast._private.unmarshaller import Unmarshaller

from spanbridge.helpers.systemd import NAME, missing

Answer = Callable[[socket.socket, Message], object]
RIGHT: dict[str, tuple[str, Any]] = {
    "Hello": ("s", ":1.1"),
    "NameHasOwner": ("b", False),
    "ListActivatableNames": ("as", []),
}


class WrongBus:
    """Answers one guest, `member` as `wrong` does."""

    def __init__(self, path: Path, member: str, wrong: Answer) -> None:
        self._wrong = {member: wrong}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self.environ = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}"}
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):
            guest, _ = self._server.accept()
            stream: Any
            with guest, guest.makefile("rb") as stream:
                stream.readline(), stream.readline()
                guest.sendall(b"OK 1234\r\nAGREE_UNIX_FD\r\n")
                stream.readline()
                while (message := Unmarshaller(stream).unmarshall()) is not None:
                    self._wrong.get(str(message.member), _answer)(guest, message)

    def close(self) -> None:
        self._server.close()


def _answer(guest: socket.socket, message: Message) -> None:
    signature, value = RIGHT[str(message.member)]
    say(signature, value)(guest, message)


def say(signature: str, *values: Any) -> Answer:
    return lambda guest, message: send(guest, Message.new_method_return(message, signature, list(values)))


def fail(guest: socket.socket, message: Message) -> None:
    send(guest, Message.new_error(message, "org.example.Error.No", "no"))


def hang_up(guest: socket.socket, message: Message) -> None:
    guest.shutdown(socket.SHUT_RDWR)


def half(guest: socket.socket, message: Message) -> None:
    guest.sendall(marshalled(Message.new_method_return(message, "b", [True]))[:-2])
    hang_up(guest, message)


def signals_without_end(guest: socket.socket, message: Message) -> None:
    while True:
        send(guest, Message.new_signal("/x", "org.example.X", "More", "s", ["x"]))


def send(guest: socket.socket, message: Message) -> None:
    guest.sendall(marshalled(message))


def marshalled(message: Message) -> bytes:
    message.serial = 1
    return bytes(message._marshall(False))


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Callable[[str, Answer], WrongBus]]:
    made: list[WrongBus] = []

    def begin(member: str, wrong: Answer) -> WrongBus:
        made.append(WrongBus(tmp_path / f"bus-{len(made)}", member, wrong))
        return made[-1]

    yield begin
    for each in made:
        each.close()


WRONG: dict[str, tuple[str, Answer, str]] = {
    "number": ("ListActivatableNames", say("u", 5), "has answered with 'u', expected 'as'"),
    "string": ("ListActivatableNames", say("s", f"not {NAME}"), "has answered with 's', expected 'as'"),
    "nothing": ("ListActivatableNames", say(""), "has answered with '', expected 'as'"),
    "an error": ("ListActivatableNames", fail, "has failed: org.example.Error.No"),
    "a number for a name's owner": ("NameHasOwner", say("u", 1), "has answered with 'u', expected 'b'"),
    "not let in": ("Hello", fail, "Hello has failed: org.example.Error.No"),
    "an end": ("NameHasOwner", hang_up, "it has closed the connection"),
    "an end within": ("NameHasOwner", half, "it has closed the connection"),
    "signals": ("NameHasOwner", signals_without_end, "no answer within 0.3 s (sudo_seconds)"),
    "never": ("NameHasOwner", lambda guest, message: None, "no answer within 0.3 s (sudo_seconds)"),
}


@pytest.mark.parametrize(("member", "wrong", "why"), WRONG.values(), ids=WRONG)
def test_it_is_told_what_the_bus_says(
    bus: Callable[[str, Answer], WrongBus], member: str, wrong: Answer, why: str
) -> None:
    told = missing(bus(member, wrong).environ, 0.3)
    assert told is not None
    assert told.startswith("the system bus: ")
    assert told.endswith(why)


def test_of_several_addresses_the_first_that_works_counts(bus: Callable[[str, Answer], WrongBus]) -> None:
    there = bus("NameHasOwner", say("b", True)).environ["DBUS_SYSTEM_BUS_ADDRESS"]
    assert missing({"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path=/no/{os.getpid()};{there}"}, 20) is None
