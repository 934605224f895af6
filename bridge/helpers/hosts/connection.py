"""One connection to another host: how ssh is run for it, who answers its questions, and why it fails.

It is the way (helpers/way.py) of an ordinary helper, which does all the rest: once the bridge over there has sent its
`init`, nothing tells it from a program of this machine.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spanbridge.protocol.problems import (
    INTERNAL_ERROR,
    NOT_SUPPORTED,
    PROTOCOL_ERROR,
    TERMINATED,
    UNKNOWN_HOST,
    UNKNOWN_HOSTKEY,
    Problem,
)

from ...wire.private_directory import private_file, remove_file
from ..attendant import Asker
from ..endings import Refusal
from ..way import Command
from .askpass_socket import Asking
from .failure import Attempt, KeyRefused, not_let_in, read_failure, told
from .host_key import known_hosts
from .key_probe import fetch_key
from .noise import Noise
from .question import Kind, Question, asks_by_name, is_interactive
from .remote_command import PYTHON, remote_command
from .sending import LONGEST_LINE, REFUSAL, fits
from .ssh_command import UNKNOWN_VERSION, Trust, ssh_command
from .starts import Place
from .wanted import Wanted

if TYPE_CHECKING:
    from ..helper import Helper
    from .equipment import Equipment

_LINES_KEPT: Final = 64
_PLAIN: Final = "plain1:"


class Connection:
    """The way to `wanted`, which is kept without the password. `helper` is set once it is made."""

    helper: "Helper"

    def __init__(self, equipment: "Equipment", wanted: Wanted) -> None:
        limits = equipment.context.limits
        self.wanted = wanted._replace(password=None)
        self.seconds = limits.host_connect_seconds
        self._equipment = equipment
        self._log = equipment.context.log
        self._mark = os.urandom(16).hex()
        self._noise = Noise(self._mark, limits.host_noise_bytes)
        self._python: bytearray | None = None  # what a Python tells of itself, as far as it has come
        self._lines: list[str] = []  # the last ones of ssh's stderr
        self._place: Place | None = None
        self._version = UNKNOWN_VERSION
        self._environ: Mapping[str, str] = {}
        self._known_hosts = ""  # the path of our file with the only keys that are trusted
        self._pid = 0
        self._began = 0.0
        self._questions: list[Asking] = []  # that wait for people
        self._verdict: Problem | None = None  # why we have ended ssh ourselves
        # What was tried, for the problem that tells of it.
        self._password = wanted.password  # until it is used up
        self._gave_password = False
        self._gave_interactive = False
        self._locked = ""
        self._jump = ""

    # Coming up (way.Way)

    async def prepare(self) -> Command:
        equipment, wanted = self._equipment, self.wanted
        equipment.context.before_programs()
        self._version = await equipment.program.version()
        self._place = await equipment.starts.place()  # last: who has one starts in this turn
        if wanted.keys:
            self._known_hosts = _write(equipment.directory, known_hosts(list(wanted.keys)))
        trust = Trust(
            known_hosts=self._known_hosts or None,
            apart=wanted.private or self._password is not None,
            asks=self._password is not None or equipment.prompts.listened(),
        )
        limits = equipment.context.limits
        argv = ssh_command(
            wanted.destination,
            trust,
            version=self._version,
            alive_seconds=limits.host_alive_seconds,
            command=remote_command(self._mark, send=bool(limits.host_send)),
        )
        self._environ = equipment.environ()
        return Command(argv, self._environ)

    def started(self, pid: int) -> None:
        self._pid = pid
        self._began = self._equipment.context.loop.time()
        self._equipment.socket.expect(pid, self)
        self._log.info("host-connecting", host=self.wanted.host, pid=pid)

    def heard(self, chunk: bytes) -> bytes | None:
        if self._python is not None:
            return self._hear_python(chunk)
        rest = self._noise.feed(chunk)
        if rest is None:
            return None
        self._tell_noise()
        if self._noise.program != PYTHON:
            return rest
        self._python = bytearray()
        return self._hear_python(rest)

    def said(self, line: str) -> None:
        self._lines.append(line)
        del self._lines[:-_LINES_KEPT]

    def greeted(self) -> None:
        """The far `init` has come."""
        seconds = round(self._equipment.context.loop.time() - self._began, 3)
        program = "sent" if self._python is not None else self._noise.program or "unknown"
        self._log.info("host-connected", host=self.wanted.host, seconds=seconds, program=program)
        self._release()
        if self.wanted.superuser is None:
            self._password = None

    def over(self) -> None:
        self._password = None
        for asking in list(self._questions):
            self._equipment.prompts.forget(asking)
        self._release()

    def _release(self) -> None:
        """What it needed to come up."""
        if self._place is not None:
            self._place.free()
        self._environ = {}
        if self._pid:
            self._equipment.socket.forget(self._pid)
        if self._known_hosts:
            remove_file(self._known_hosts)
            self._known_hosts = ""

    def _tell_noise(self) -> None:
        if self._noise.nbytes:
            line = self._noise.first_line
            self._log.info("host-noise", host=self.wanted.host, bytes=self._noise.nbytes, line=line)

    # A Python instead of a bridge

    def _hear_python(self, chunk: bytes) -> bytes | None:
        assert self._python is not None  # noqa: S101 - for the type checker
        self._python += chunk
        line, end, rest = bytes(self._python).partition(b"\n")
        if not end:
            if len(line) > LONGEST_LINE:
                raise Problem(NOT_SUPPORTED, "a python3 that says what nobody asked for")
            return None
        self._equipment.tasks.start_soon(self._answer_python, line.decode("ascii", "replace"))
        return rest

    async def _answer_python(self, told_of_itself: str) -> None:
        parcel = REFUSAL
        if fits(told_of_itself):
            try:
                parcel = await self._equipment.parcel.read()
            except Problem as problem:
                self._log.warning("not-sent", host=self.wanted.host, why=problem.message)
        self._log.info("host-python", host=self.wanted.host, python=told_of_itself, bytes=len(parcel))
        self.helper.put(parcel)

    # Questions of ssh (askpass_socket.Asked)

    def asked(self, asking: Asking) -> None:
        question = asking.question
        if question.kind is Kind.PASSWORD and self._password is not None and not self._gave_password:
            self._note_tried(question)
            asking.answer(self._password)
            if self.wanted.superuser is None:
                self._password = None
        elif question.kind is Kind.PASSPHRASE:
            self._locked = self._locked or question.path
            asking.refuse()
        elif question.kind is Kind.HOST_KEY:
            self._jump = self._jump or " ".join(question.messages.split())
            asking.answer("no")
        elif question.kind is not Kind.TOUCH:
            self._ask_people(asking)

    def _note_tried(self, question: Question) -> None:
        """It was answered: if the host lets nobody in, then not with that."""
        if question.kind is Kind.PASSWORD:
            self._gave_password = True
            self._gave_interactive = self._gave_interactive or is_interactive(question)

    def _ask_people(self, asking: Asking) -> None:
        self._log.info("host-asks", host=self.wanted.host, prompt=asking.question.prompt)

        def answered() -> None:
            self._note_tried(asking.question)

        def failed() -> None:
            self._give_up(asking)

        def over() -> None:
            self._questions.remove(asking)
            self.helper.asks(len(self._questions))

        if self._equipment.prompts.ask(self.wanted.host, asking, answered=answered, failed=failed, over=over):
            self._questions.append(asking)
            self.helper.asks(len(self._questions))
        else:
            failed()

    def _give_up(self, asking: Asking) -> None:
        """Nobody answers. ssh is ended before it gets nothing for an answer, which it would send to the host."""
        question = asking.question
        why = f"{question.messages} {question.prompt}".strip()
        if self._gave_password and asks_by_name(question):
            why = f"the password was not accepted; asked again: {why}"
        methods = ["password"] if self._gave_password or question.kind is Kind.PASSWORD else []
        if question.kind is Kind.PASSWORD and is_interactive(question):
            methods.append("keyboard-interactive")
        self._verdict = not_let_in(self._attempt(0), why, methods)
        self.helper.kill()
        asking.refuse()

    # Questions of the bridge over there

    def asked_from_there(self, asker: Asker, question: dict[str, Any]) -> None:
        """Its privileged helper wants a password: the one of the open, if that asked for such a helper, and once."""
        challenge = question.get("challenge")
        answer = ""
        if isinstance(challenge, str) and challenge.startswith(_PLAIN) and self._password is not None:
            answer, self._password = self._password, None
        asker.answer(question, answer)

    def superuser_done(self) -> None:
        self._password = None

    # Failing

    def _attempt(self, status: int) -> Attempt:
        return Attempt(
            self.wanted.host,
            status,
            [line for line in self._lines if line],
            began=self._noise.marked,
            password=self._gave_password,
            interactive=self._gave_interactive,
            locked=self._locked,
            jump=self._jump,
        )

    async def failure(self, status: int) -> Refusal:
        if not self._noise.marked:
            self._noise.end()
            self._tell_noise()
        problem = self._verdict or read_failure(self._attempt(status))
        if isinstance(problem, KeyRefused):
            return await self._with_key(problem)
        return Refusal(problem.code, problem.message, **problem.members)

    async def _with_key(self, problem: KeyRefused) -> Refusal:
        """The problem with the key that the host has, for people to look at."""
        members, message, code = dict(problem.members), problem.message, problem.code
        if code == UNKNOWN_HOST and self.wanted.private:
            code = UNKNOWN_HOSTKEY
        members["error"] = code
        if problem.probe:
            equipment = self._equipment
            key = await fetch_key(
                equipment.context,
                self.wanted.destination,
                equipment.directory,
                self._environ,
                version=self._version,
                seconds=self.seconds,
            )
            if key is not None:
                members |= {"host-key": key.line, "host-fingerprint": key.fingerprint}
                message += f"; it is {key.algorithm} {key.fingerprint}"
        return Refusal(code, message, **members)

    def explain(self, problem: Problem, *, served: bool) -> Refusal:
        if isinstance(problem, Refusal):  # the far bridge's own words, or what was read before
            message = problem.message or f"its bridge refuses to serve: {problem.code}"
            return Refusal(problem.code, told(self.wanted.host, message), **problem.members)
        code, why = problem.code, problem.message
        if served:
            code = TERMINATED
        elif code in (PROTOCOL_ERROR, TERMINATED):
            code = NOT_SUPPORTED
        if self._lines and self._lines[-1] not in why:
            why += f"; the last words of ssh: {self._lines[-1]}"
        return Refusal(code, told(self.wanted.host, why), **problem.members)


def _write(directory: str, text: str) -> str:
    """The path of a new file. Raises Problem."""
    try:
        handle, path = private_file(directory, "known-")
        with open(handle, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise Problem(INTERNAL_ERROR, f"no place for the host key: {error}") from None
    return path
