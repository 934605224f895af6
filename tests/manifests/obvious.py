"""Filling in a template, written for nothing but to be seen to be right."""

import string
from collections.abc import Mapping
from typing import Final

NAME_CHARACTERS: Final = string.ascii_letters + string.digits + "._-"


def variable_at(text: str, at: int) -> str:
    """The name of the variable that starts here, or nothing."""
    if not text.startswith("${", at):
        return ""
    name = ""
    for char in text[at + 2 :]:
        if char == "}":
            return name
        if char not in NAME_CHARACTERS:
            return ""
        name += char
    return ""


def obvious(text: str, values: Mapping[str, str]) -> str:
    """`text` with each variable replaced, one character after another."""
    result, at = "", 0
    while at < len(text):
        if text[at] == "\\" and (name := variable_at(text, at + 1)):
            result += "${" + name + "}"
            at += len(name) + 4
        elif name := variable_at(text, at):
            result += values.get(name, "")
            at += len(name) + 3
        else:
            result += text[at]
            at += 1
    return result
