"""What the rest of the program gets to know about packages: plain values that never change."""

from __future__ import annotations

from typing import Any, Final

import msgspec

SPAWN: Final = "spawn"
UNIT: Final = "StartTransientUnit"
METHODS: Final = (SPAWN, UNIT)


class Rule(msgspec.Struct, frozen=True):
    """One entry of a manifest's `bridges`, checked (docs/manifests.md, "Members of a bridge").

    The strings are as written, with their variables; template.py expands them.
    """

    package: str
    position: int
    """Index in that manifest's `bridges`."""
    source: str
    """Where it stands, as "FILE:LINE"."""
    match: dict[str, Any] | None
    """None for a privileged rule only."""
    spawn: tuple[str, ...]
    """Empty: it refuses what it matches, with its `problem`."""
    environ: tuple[str, ...] = ()
    directory: str | None = None
    problem: str | None = None
    timeout: float | None = None
    """Seconds a helper without channels is kept. None: as long as the session lasts."""
    privileged: bool = False
    label: str | None = None
    method: str = SPAWN
    """How a privileged one is started: SPAWN or UNIT."""
    polkit: bool = False
    """The session answers polkit's questions while a privileged one comes up."""

    @property
    def name(self) -> str:
        """How logs and messages call it."""
        return f"{self.package}/bridges[{self.position}]"

    @property
    def identity(self) -> bytes:
        """The content, without where it stands: a rule that only moved keeps its helpers over a reload."""
        return msgspec.json.encode(
            (
                self.package,
                self.match,
                self.spawn,
                self.environ,
                self.directory,
                self.problem,
                self.timeout,
                self.privileged,
                self.label,
                self.method,
                self.polkit,
            ),
            order="sorted",
        )

    def __hash__(self) -> int:
        # The generated one would fail on `match`, a dict.
        return hash((self.package, self.position, self.source, self.spawn))


class Package(msgspec.Struct, frozen=True):
    """A package in use."""

    name: str
    directory: str
    """The name of its directory, which need not be its own."""
    path: str
    """The directory itself, absolute."""
    priority: float
    manifest: dict[str, Any]
    """After overrides, and with `${libexecdir}` replaced."""
    bridges: tuple[Rule, ...]
    """Its good entries, in listed order, the privileged ones among them."""
    user: bool
    """It came from $XDG_DATA_HOME."""
    overrides: tuple[str, ...]
    """The files applied to the manifest, in that order."""

    def __hash__(self) -> int:
        return hash((self.name, self.path))


class Defect(msgspec.Struct, frozen=True):
    """Something wrong in a file, in words for whoever has to mend it."""

    file: str
    line: int
    """From 1, 0 if unknown."""
    column: int
    """From 1, in characters, 0 if unknown."""
    member: str
    """Like `bridges[2].spawn`, empty if it is not about one."""
    message: str
    """What was found and what was expected."""
    restricts: bool = False
    """What is left out for it may have been there to refuse something, which goes on now to whatever comes after."""
    loses: bool = False
    """A whole file, or all of its bridges, is left out for it, so that nobody knows which rules are missing."""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        if self.member:
            place += f": {self.member}"
        return f"{place}: {self.message}"


class Hidden(msgspec.Struct, frozen=True):
    """A package directory that is not in use, and why."""

    name: str
    """The package's name where the manifest could be read, else the directory's."""
    path: str
    reason: str


class Catalog(msgspec.Struct, frozen=True):
    """All that one look at the data directories found."""

    packages: tuple[Package, ...] = ()
    """The ones in use, sorted by name."""
    rules: tuple[Rule, ...] = ()
    """For opens: packages by descending priority, ties by name, within one in listed order."""
    privileged: tuple[Rule, ...] = ()
    """Superuser bridges, in the same order."""
    defects: tuple[Defect, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    left_out: tuple[tuple[Rule, Defect], ...] = ()
    """Entries with a mistake in them: as much of a rule as tells what it was to match, and the mistake."""
    incomplete: bool = False
    """A directory could not be listed: packages may be missing for no reason of their own."""
