"""The askpass program by itself: a frame out, a frame in, the answer on stdout."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from spanbridge.testing.frames import Decoder, encode, encode_control

from .installation import Installation


class Askpass:
    """Runs the program on one end of a socket; `ours` is the other."""

    def __init__(self, program: str, prompt: bytes | None, environ: Mapping[str, str]) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                [os.fsencode(program), *([] if prompt is None else [prompt])],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
            )

    def question(self) -> dict[str, Any]:
        decoder = Decoder()
        while not (frames := decoder.feed(self.ours.recv(65_536))):
            pass
        (frame,) = frames
        assert not decoder.rest
        return frame.message

    def answer(self, *, followed_by: bytes = b"", **members: Any) -> None:
        # At once: the program may end as soon as it has its answer.
        self.ours.sendall(encode_control({"command": "authorize", **members}) + followed_by)

    def end(self) -> tuple[int, bytes, bytes]:
        """Wait; its exit status, what it printed, and what it said on stderr."""
        said, complained = self.process.communicate(timeout=20)
        self.ours.close()
        return self.process.returncode, said, complained


class Run:
    """Starts the program; what still runs after the test is ended."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.started: list[Askpass] = []

    def __call__(self, prompt: bytes | None = b"Password:", environ: Mapping[str, str] | None = None) -> Askpass:
        self.started.append(Askpass(self.program, prompt, environ or {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}))
        return self.started[-1]


@pytest.fixture
def run(installation: Installation) -> Iterator[Run]:
    run = Run(str(installation.askpass))
    yield run
    for askpass in run.started:
        if askpass.process.poll() is None:
            askpass.process.kill()
            askpass.process.communicate()
        askpass.ours.close()


def test_an_answer_is_printed(run: Run) -> None:
    askpass = run("Passwort für Jörg: ".encode())
    question = askpass.question()
    assert question["command"] == "authorize"
    assert question["challenge"] == "plain1:"
    assert question["prompt"] == "Passwort für Jörg: "

    askpass.answer(cookie=question["cookie"], response="swordfish ß 🐟")

    assert askpass.end() == (0, "swordfish ß 🐟\n".encode(), b"")


def test_what_follows_the_answer_is_left_for_the_helper(run: Run) -> None:
    askpass = run()
    question = askpass.question()
    # The other end is open in the program alone: what is not read there shows as a reset of the connection.
    askpass.answer(cookie=question["cookie"], response="yes", followed_by=b"for the helper")

    said, _ = askpass.process.communicate(timeout=20)

    assert (askpass.process.returncode, said) == (0, b"yes\n")
    with pytest.raises(ConnectionResetError):
        askpass.ours.recv(1)


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}, {}])
def test_the_answer_is_utf_8_in_any_locale(run: Run, locale: dict[str, str]) -> None:
    askpass = run(environ={"PATH": "/usr/bin:/bin", **locale})

    askpass.answer(cookie=askpass.question()["cookie"], response="großer Fisch")

    assert askpass.end() == (0, "großer Fisch\n".encode(), b"")


@pytest.mark.parametrize("prompt", [None, b"", b"not \xff UTF-8"])
def test_any_prompt_makes_a_good_question(run: Run, prompt: bytes | None) -> None:
    askpass = run(prompt)
    question = askpass.question()
    assert question["prompt"] == (prompt or b"").decode(errors="replace")

    askpass.answer(cookie=question["cookie"], response="yes")

    assert askpass.end()[0] == 0


@pytest.mark.parametrize("members", [{"response": ""}, {}, {"response": None}, {"response": 5}])
def test_a_refusal(run: Run, members: dict[str, Any]) -> None:
    askpass = run()

    askpass.answer(cookie=askpass.question()["cookie"], **members)

    assert askpass.end() == (1, b"", b"")


def test_an_answer_to_another_question_is_none(run: Run) -> None:
    askpass = run()
    askpass.question()

    askpass.answer(cookie="another", response="secret")

    assert askpass.end() == (1, b"", b"")


def test_the_end_of_the_bridge_is_no_answer(run: Run) -> None:
    askpass = run()
    askpass.question()

    askpass.ours.close()

    status, said, complained = askpass.end()
    assert (status, said) == (1, b"")
    assert complained == b"spanbridge-askpass: no answer: end of file\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"secret\n",
        b"secretsecretsecret",
        b"-5\nsecret",
        b"99999999\nsecret",
        encode("channel", b"secret"),
        encode("", b"secret"),
        encode("", b"\xffsecret"),
        encode("", b'["secret"]'),
        encode("", b'{"secret":'),
        encode("", json.dumps({"command": "ping", "response": "secret"}).encode()),
    ],
)
def test_what_is_no_answer_is_not_repeated(run: Run, sent: bytes) -> None:
    askpass = run()
    askpass.question()

    askpass.ours.sendall(sent)

    status, said, complained = askpass.end()
    assert (status, said) == (1, b"")
    assert complained.startswith(b"spanbridge-askpass: no answer: ")
    assert complained.count(b"\n") == 1
    assert b"secret" not in complained


def test_little_is_imported(installation: Installation) -> None:
    """It runs once for each prompt."""
    library = str(installation.root / "lib")
    asked = f"import sys; sys.path.insert(0, {library!r}); import spanbridge.askpass; print(*sys.modules)"
    told = subprocess.run([installation.python, "-IS", "-c", asked], capture_output=True, check=True, text=True)

    modules = set(told.stdout.split())
    assert {name for name in modules if name.partition(".")[0] == "spanbridge"} == {"spanbridge", "spanbridge.askpass"}
    assert not modules & {"anyio", "asyncio", "msgspec", "subprocess", "typing", "inspect", "dataclasses", "socket"}
