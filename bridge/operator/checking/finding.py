"""Something found in a file: where, how bad, and in words; and the kinds of it."""

from bisect import bisect_right
from typing import Final, NamedTuple

import msgspec

from spanbridge.manifests.locate import Outline, outline
from spanbridge.manifests.member import Path, spell
from spanbridge.manifests.model import Defect
from spanbridge.manifests.raw import Document

from ..printable import printable
from ..terminal import Paint

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"
_STYLES: Final = {ERROR: "red", WARNING: "yellow", NOTE: "blue"}


class Kind(NamedTuple):
    severity: str
    meaning: str


KINDS: Final = {
    "unreadable": Kind(ERROR, "a file or directory cannot be read, or is too large"),
    "syntax": Kind(ERROR, "a file is not JSON"),
    "invalid": Kind(ERROR, "a member is missing, or not what it should be; the entry, package or override is left out"),
    "never-holds": Kind(ERROR, "conditions that contradict one another: the package is used nowhere"),
    "command": Kind(ERROR, "the program of a bridge is not found, or cannot be executed"),
    "directory": Kind(ERROR, "the working directory of a bridge is not there"),
    "askpass": Kind(ERROR, "the program that SUDO_ASKPASS names is not there, or there is none to name"),
    "twice": Kind(WARNING, "two privileged bridges with one id: the second is left out"),
    "unknown-member": Kind(WARNING, "a member that means nothing, most likely misspelt"),
    "front-end": Kind(WARNING, "a member that front ends read is not what they expect"),
    "unknown-condition": Kind(WARNING, "a condition of an unknown name, which counts as met"),
    "unmet": Kind(WARNING, "a requirement that nothing provides"),
    "duplicate": Kind(WARNING, "a name twice in one object, or a variable twice in one environ: the last counts"),
    "unreachable": Kind(WARNING, "a bridge that no open gets to, since an earlier one takes them all"),
    "never-matches": Kind(WARNING, "a match that no open can satisfy"),
    "unused-override": Kind(WARNING, "an override of a package that is not there, or of nothing in it"),
    "relative": Kind(WARNING, "a path that depends on where the bridge was started, or is ignored for that"),
    "no-effect": Kind(WARNING, "something written that does nothing, such as a variable where none is filled in"),
    "injection": Kind(WARNING, "a value of the open that becomes a command, or part of one for a shell"),
    "misplaced": Kind(WARNING, "a file that is not read, since it lies or is named beside what is looked for"),
    "replaced": Kind(WARNING, "an override whose list takes the place of another, which it has nothing of"),
    "plain-text": Kind(WARNING, "something that only looks like a variable"),
    "unmatched-variable": Kind(NOTE, "a variable that is not in match, with a name near to one that is"),
    "fallback": Kind(NOTE, "a bridge of a lower priority that is reached only if another cannot be started"),
    "not-offered": Kind(NOTE, "a privileged bridge that cannot be started here, while another can"),
    "not-used": Kind(NOTE, "a package that is hidden by another, or whose conditions are not met here"),
}
"""By name. Errors and warnings are problems; notes are not."""


class Finding(msgspec.Struct, frozen=True):
    severity: str
    kind: str
    """A key of KINDS."""
    file: str
    line: int
    """From 1, 0 if unknown."""
    column: int
    """From 1, in characters, 0 if unknown."""
    member: str
    """Like `bridges[2].environ[0]`, empty if it is not about one."""
    message: str
    suggestion: str = ""
    """What to write instead, if that can be told."""

    @property
    def place(self) -> tuple[str, int, int, str]:
        return self.file, self.line, self.column, self.member

    def text(self, paint: Paint) -> str:
        """One line, as compilers have it, so that editors can go to the place."""
        where = printable(self.file)
        if self.line:
            where += f":{self.line}:{self.column}" if self.column else f":{self.line}"
        member = f"{paint('bold', printable(self.member))}: " if self.member else ""
        hint = f"; did you mean {paint('green', printable(self.suggestion))}?" if self.suggestion else ""
        severity, kind = paint(_STYLES[self.severity], self.severity), paint("dim", f"[{self.kind}]")
        return f"{paint('bold', where)}: {severity}: {member}{printable(self.message)}{hint} {kind}"


def of_file(kind: str, file: str, message: str, suggestion: str = "") -> Finding:
    """About the file as a whole."""
    return Finding(KINDS[kind].severity, kind, file, 0, 0, "", message, suggestion)


def of_defect(defect: Defect) -> Finding:
    """What the loader found."""
    kind = "invalid" if defect.member else "syntax" if defect.line else "unreadable"
    return Finding(ERROR, kind, defect.file, defect.line, defect.column, defect.member, defect.message)


class Source:
    """A manifest or an override that could be read, and where its members stand."""

    def __init__(self, document: Document, *, override: bool) -> None:
        self.document = document
        self.override = override
        self._outline: Outline | None = None
        self._lines: list[int] = []

    @property
    def file(self) -> str:
        return self.document.file

    @property
    def outline(self) -> Outline:
        if self._outline is None:
            self._outline = outline(self.document.data)
        return self._outline

    def finding(self, kind: str, path: Path, message: str, suggestion: str = "") -> Finding:
        """About a member; it stands where the innermost thing does of those on the path that are there."""
        places = self.outline.places
        there = path
        while there not in places:
            there = there[:-1]
        line, column = self.line_and_column(places[there])
        return Finding(KINDS[kind].severity, kind, self.file, line, column, spell(path), message, suggestion)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Both from 1, the column in characters."""
        data = self.document.data
        if not self._lines:
            self._lines = [0]
            at = data.find(b"\n")
            while at >= 0:
                self._lines.append(at + 1)
                at = data.find(b"\n", at + 1)
        line = bisect_right(self._lines, offset)
        return line, len(data[self._lines[line - 1] : offset].decode(errors="replace")) + 1
