"""What an open asks for, each option checked first (docs/protocol.md, "Channels that the bridge serves")."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from spanbridge.protocol.problems import NOT_SUPPORTED, PROTOCOL_ERROR, Problem, shown

Default = TypeVar("Default")


_MANY: Final = 10**17  # no float is asked for what is longer: it may be too long for one


class _Required:
    """Stands for a default that there is none of."""


REQUIRED: Final = _Required()


class Options:
    """The members of one message. An option that is null is absent; those that nobody asks for are ignored.

    What is not as expected raises Problem (`protocol-error`), which names option, payload and expectation.
    """

    __slots__ = ("_members", "of")

    def __init__(self, members: Mapping[str, Any], of: str | None = None) -> None:
        """`of`: whose members these are, in words; an open's payload if it is not given."""
        self._members = members
        self.of = of if of is not None else str(members.get("payload"))

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    def wrong(self, name: str, expected: str, found: str = "") -> Problem:
        """The Problem for an option that is not what it should be. Its value is told by kind alone, or as `found`."""
        found = found or _kind(self._members.get(name))
        return Problem(PROTOCOL_ERROR, f'"{name}" of {self.of}: expected {expected}, found {found}')

    def _given(self, name: str, default: object, expected: str) -> Any:
        value = self._members.get(name)
        if value is None and default is REQUIRED:
            raise self.wrong(name, expected)
        return value

    def text(self, name: str, default: Default | _Required = REQUIRED, *, expected: str = "a string") -> str | Default:
        value = self._members.get(name)
        if type(value) is str:
            return value
        if value is None and default is not REQUIRED:
            return cast("Default", default)
        raise self.wrong(name, expected)

    def system(
        self, name: str, default: Default | _Required = REQUIRED, *, expected: str = "a string"
    ) -> str | Default:
        """A string for the system: without NUL; lone surrogates U+DC80..U+DCFF in it stand for bytes (os.fsencode)."""
        value = self.text(name, default, expected=expected)
        if isinstance(value, str):
            self._check_for_system(name, value)
        return value

    def _check_for_system(self, name: str, value: str) -> None:
        if "\0" in value:
            raise self.wrong(name, "a string without NUL")
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise self.wrong(name, "a string of characters, or of surrogates that stand for bytes") from None

    def integer(
        self,
        name: str,
        default: Default | _Required = REQUIRED,
        *,
        least: int | None = None,
        most: int | None = None,
    ) -> int | Default:
        """A whole number, which may be written 80.0, within the bounds."""
        value = self._members.get(name)
        if value is None and default is not REQUIRED:
            return cast("Default", default)
        if least is not None and most is not None:
            expected = f"a whole number from {least} to {most}"
        else:
            expected = "a whole number" if least is None else f"a whole number of {least} or more"
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or (least is not None and value < least) or (most is not None and value > most):
            raise self.wrong(name, expected)
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def choice(self, name: str, default: Default | _Required, *words: str) -> str | Default:
        value = self._members.get(name)
        if value is None and default is not REQUIRED:
            return cast("Default", default)
        if not isinstance(value, str) or value not in words:
            expected = f"one of {', '.join(words)}" if len(words) > 1 else words[0]
            raise self.wrong(name, expected, shown(value) if isinstance(value, str) else "")
        return value

    def texts(
        self, name: str, default: Default | _Required = REQUIRED, *, system: bool = False, empty: bool = True
    ) -> list[str] | Default:
        """A list of strings, for the system if `system`; `empty`: whether it may be."""
        expected = "a list of strings" if empty else "a list of strings, not empty"
        value = self._given(name, default, expected)
        if value is None:
            return cast("Default", default)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or not (value or empty):
            raise self.wrong(name, expected)
        if system:
            for each in value:
                self._check_for_system(name, each)
        return value

    def members(self, name: str, default: Default | _Required = REQUIRED) -> "Options | Default":
        """An object, whose members are options again."""
        value = self._given(name, default, "an object")
        if value is None:
            return cast("Default", default)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Options(value, f'"{name}" of {self.of}')

    @property
    def names(self) -> Sequence[str]:
        """Of all members that are there."""
        return [name for name, value in self._members.items() if value is not None]

    @property
    def all_names(self) -> Sequence[str]:
        """Of all members, null or not: for objects whose members are no options."""
        return list(self._members)

    @property
    def raw(self) -> bool:
        """Whether the channel carries bytes; else it is a text channel."""
        return self.choice("binary", None, "raw") == "raw"

    def check_capabilities(self, offered: Sequence[str]) -> None:
        """Raises Problem (`not-supported`) if a capability is wanted that is not `offered`."""
        wanted = self.texts("capabilities", [])
        missing = [each for each in wanted if each not in offered]
        if missing:
            message = f"{self.of}: no capability {missing[0][:40]!r}; there are: {', '.join(offered) or 'none'}"
            raise Problem(NOT_SUPPORTED, message, capabilities=list(offered))


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string" if value else "an empty string"
        case int() if abs(value) >= _MANY:
            return "a long number"
        case int() | float():
            return f"the number {value:g}"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "an object"
    return "something else"
