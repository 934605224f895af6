"""Which file of a package answers a request (docs/packages.md, "Which file")."""

from typing import Final, NamedTuple

from .files import MissingError, names_in, open_file
from .languages import translations
from .listing import Listing

_PACKED: Final = ".gz"


class Found(NamedTuple):
    """An open file."""

    descriptor: int
    packed: bool
    """Its content is gzip, and not what was asked for itself."""


def find_file(directory: str, file: str, listing: Listing | None) -> Found:
    """Open the first file that is there of those that may stand for `file`.

    `listing`: what is in the package directory `directory`; None to look there afresh. Raises MissingError,
    UnreadableError, OSError.
    """
    for name in variants(file):
        if listing is None or listing.may_have(name):
            try:
                return Found(open_file(directory, name), name.endswith(_PACKED) and name != file)
            except MissingError:
                continue
    raise MissingError(file)


def find_translation(directory: str, file: str, languages: list[str], listing: Listing | None) -> Found:
    """Open `file` (`po.js`, or another name of the kind) in the first of these languages that there is.

    In none of them: the file of that name itself. Raises as `find_file` does.
    """
    parent, _, name = file.rpartition("/")
    there = translations(_names(directory, parent, listing), name.removesuffix(".js"))
    for language in languages:
        if language in there:
            return find_file(directory, f"{parent}/{there[language]}" if parent else there[language], listing)
    return find_file(directory, file, listing)


def variants(file: str) -> list[str]:
    """The names that `file` may have, in the order in which they are looked for."""
    stem, dot, extension = file.rpartition(".")
    names = [file]
    if dot and "/" not in extension:
        names.append(f"{stem}.min.{extension}")
    names.append(f"{file}.min")
    return [variant for name in names for variant in (name, name + _PACKED)]


def _names(directory: str, parent: str, listing: Listing | None) -> frozenset[str]:
    if listing is not None and parent in listing.directories:
        return listing.directories[parent]
    if listing is not None and not listing.unlisted:
        return frozenset()
    try:
        return frozenset(names_in(directory, parent))
    except MissingError:
        return frozenset()
