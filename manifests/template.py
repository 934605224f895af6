"""Variables: a rule's `spawn`, `environ` and `directory` with the values of one open filled in.

    ${name}    the open's member, name of ASCII letters, digits and . _ - (at least one)
    \\${name}   the text ${name}
    anything else, ${} and ${a b} and ${x without an end among it, is plain text

One pass: what a value brings in is never looked at again (docs/manifests.md, "Variables").
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from .model import Rule

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class Variable(msgspec.Struct, frozen=True):
    name: str


Template: TypeAlias = tuple[str | Variable, ...]


class Expansion(msgspec.Struct, frozen=True):
    """The command of a helper: together with its rule, what makes two opens share one process."""

    argv: tuple[str, ...]
    environ: tuple[tuple[str, str], ...]
    """Names and values, in listed order: a later one of the same name wins."""
    directory: str | None
    """None: the bridge's own. So is one that comes out empty, since nothing could be started in it."""


class Recipe(msgspec.Struct, frozen=True):
    """A rule's templates, taken apart."""

    spawn: tuple[Template, ...]
    environ: tuple[tuple[Template, Template], ...]
    directory: Template | None
    variables: tuple[str, ...]
    """The names it uses, each once, in the order they come."""
    fixed: Expansion | None
    """What every open expands to, if there are no variables."""


class ExpansionError(Exception):
    """This open cannot be expanded. The channel closes with `protocol-error`.

    member: like `environ[0]`. variable: whose value is at fault, empty if none alone is.
    """

    def __init__(self, member: str, variable: str, message: str) -> None:
        super().__init__(f"{member}: {message}")
        self.member = member
        self.variable = variable
        self.message = message


def parse(text: str) -> Template:
    """Take a template apart. Neighbouring parts are never both plain text, and none is empty."""
    if "${" not in text:
        return (text,) if text else ()
    parts: list[str | Variable] = []
    plain: list[str] = []
    done = 0
    start = text.find("${")
    while start >= 0:
        # A name holds no "$", so the next "${" bounds the search for its end: linear however often it opens.
        following = text.find("${", start + 2)
        end = text.find("}", start + 2, following if following >= 0 else len(text))
        name = text[start + 2 : end] if end >= 0 else ""
        if name and NAME_CHARACTERS.issuperset(name):
            if start > done and text[start - 1] == "\\":
                plain += (text[done : start - 1], text[start : end + 1])
            else:
                plain.append(text[done:start])
                if before := "".join(plain):
                    parts.append(before)
                plain.clear()
                parts.append(Variable(name))
            done = end + 1
        start = following
    plain.append(text[done:])
    if after := "".join(plain):
        parts.append(after)
    return tuple(parts)


def variables(template: Template) -> list[str]:
    return [part.name for part in template if isinstance(part, Variable)]


def split_environ(entry: str) -> tuple[Template, Template] | None:
    """`NAME=value` as two templates, or None if it cannot become one.

    It is split before it is expanded: a value with "=" in it must not move the border between the two.
    """
    name, equals, value = entry.partition("=")
    template = parse(name)
    if not (equals and template):
        return None
    if "\0" in name:
        return None
    return template, parse(value)


class Plan(NamedTuple):
    """One rule, made ready to start what it names."""

    rule: Rule
    identity: bytes
    recipe: Recipe


def compile_rule(rule: Rule) -> Recipe:
    """Raises ValueError for an `environ` entry that is not NAME=value; a rule that was loaded has none."""
    spawn = tuple(parse(text) for text in rule.spawn)
    environ = []
    for index, entry in enumerate(rule.environ):
        pair = split_environ(entry)
        if pair is None:
            raise ValueError(f"{rule.name}: environ[{index}] is not NAME=value")
        environ.append(pair)
    directory = None if rule.directory is None else parse(rule.directory)
    templates = [*spawn, *(template for pair in environ for template in pair), directory or ()]
    names = tuple(dict.fromkeys(name for template in templates for name in variables(template)))
    recipe = Recipe(spawn, tuple(environ), directory, names, None)
    if names:
        return recipe
    return msgspec.structs.replace(recipe, fixed=_fill(recipe, {}))


def expand(recipe: Recipe, open_message: Mapping[str, Any]) -> Expansion:
    """The command for this open. Raises ExpansionError."""
    return recipe.fixed or _fill(recipe, open_message)


def values(recipe: Recipe, open_message: Mapping[str, Any]) -> dict[str, str]:
    """The recipe's variables and what this open gives for each, which has been expanded: an absent one is empty."""
    return {name: _text((Variable(name),), open_message, "") for name in recipe.variables}


def _fill(recipe: Recipe, values: Mapping[str, Any]) -> Expansion:
    argv = tuple([_text(template, values, "spawn", index) for index, template in enumerate(recipe.spawn)])
    environ = []
    for index, (name, value) in enumerate(recipe.environ):
        key = _text(name, values, "environ", index)
        if not key or "=" in key:
            raise _not_a_name(name, key, index)
        environ.append((key, _text(value, values, "environ", index)))
    directory = None if recipe.directory is None else _text(recipe.directory, values, "directory") or None
    return Expansion(argv, tuple(environ), directory)


def _text(template: Template, values: Mapping[str, Any], member: str, index: int | None = None) -> str:
    texts = []
    for part in template:
        if part.__class__ is str:
            texts.append(part)
            continue
        name = part.name  # type: ignore[union-attr]
        value = values.get(name)
        if value.__class__ is str:
            if "\0" in value:
                raise _refused(member, index, name, "a string with a NUL character, which no command can take")
            if not value.isascii() and _torn(value):
                raise _refused(member, index, name, "a string with half a character, which no command can take")
        elif value is None:
            continue
        elif isinstance(value, (bool, int, float)):
            value = _json_text(value, member, index, name)
        else:
            kind = "a list" if isinstance(value, (list, tuple)) else "an object"
            raise _refused(member, index, name, f"{kind}, expected a string, a number, true or false")
        texts.append(value)
    return "".join(texts)


def _torn(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _json_text(value: bool | int | float, member: str, index: int | None, name: str) -> str:
    text = msgspec.json.encode(value).decode()
    if text == "null":  # infinity and not-a-number: no JSON has them, a caller in Python may
        raise _refused(member, index, name, "a number that JSON cannot spell")
    return text


def _refused(member: str, index: int | None, name: str, found: str) -> ExpansionError:
    return ExpansionError(_place(member, index), name, f"the value of ${{{name}}} is {found}")


def _not_a_name(template: Template, key: str, index: int) -> ExpansionError:
    from .member import quote

    used = variables(template)
    found = quote(key) if key else "empty"
    return ExpansionError(
        _place("environ", index),
        used[0] if used else "",
        f"the name before = is {found} with ${{{'} and ${'.join(used)}}} filled in, expected a name without =",
    )


def _place(member: str, index: int | None) -> str:
    return member if index is None else f"{member}[{index}]"
