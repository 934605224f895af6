"""Where things stand in JSON text: lines and columns for messages.

The JSON decoder gives no positions, so whoever needs one pays for it here, with a scan of the text. The scan keeps
no stack and does not call itself, so nesting costs nothing, and it takes any bytes: for text that is not JSON the
answer is some place in it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from .member import Path

# A string without an end matches up to the end of the text: were it skipped instead, each quote after it would be
# tried as another start, and a megabyte of them would take hours.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_TOKEN = re.compile(STRING + rb'|[\[\]{}:,]|[^\s\[\]{}:,"]++', re.DOTALL)


class Child(NamedTuple):
    """A member of an object, or an element of a list."""

    step: str | int
    place: int
    """Offset to show to people: of the name, or of the element."""
    value: int
    """Offset of the value."""


def line_and_column(data: bytes, offset: int) -> tuple[int, int]:
    """Both from 1, the column in characters."""
    start = data.rfind(b"\n", 0, offset) + 1
    return data.count(b"\n", 0, offset) + 1, len(data[start:offset].decode(errors="replace")) + 1


def find(data: bytes, path: Path, start: int = 0) -> int:
    """Offset of a member, or of the innermost thing around it that is there.

    path: from the value at `start`. Of two members with one name the last is meant, as the decoder has it.
    """
    place, value = _value(data, start), start
    for step in path:
        child = _child(data, value, step)
        if child is None:
            break
        place, value = child.place, child.value
    return place


class Outline(NamedTuple):
    """Where all members of a document stand."""

    places: dict[Path, int]
    """Offsets to show to people: of the name, or of the element."""
    twice: list[tuple[Path, int, int]]
    """Names that an object has again: path, offset of the earlier and of the later one. The later one counts."""


def outline(data: bytes) -> Outline:
    """All places at once, for whoever needs many. The document is valid JSON; one pass, no calls of its own."""
    found = Outline({(): _value(data, 0)}, [])
    paths: list[Path] = [()]  # of the open objects and lists, the innermost last
    steps: list[str | int] = []  # in each of them, the member that is being read
    seen: list[dict[str, int]] = []  # in each of them, the names so far and their offsets
    awaits_name = False
    for token in _TOKEN.finditer(data):
        first = token[0][:1]
        if first in b"]}":
            paths.pop()
            steps.pop()
            seen.pop()
            awaits_name = False
        elif first == b",":
            step = steps[-1]
            awaits_name = isinstance(step, str)
            if isinstance(step, int):
                steps[-1] = step + 1
        elif first == b":":
            awaits_name = False
        elif awaits_name:
            name = steps[-1] = _decoded(token[0]) or ""
            path = (*paths[-1], name)
            if name in seen[-1]:
                found.twice.append((path, seen[-1][name], token.start()))
            found.places[path] = seen[-1][name] = token.start()
        else:
            if steps and isinstance(steps[-1], int):
                found.places[(*paths[-1], steps[-1])] = token.start()
            if first in b"[{":
                if steps:
                    paths.append((*paths[-1], steps[-1]))
                steps.append(0 if first == b"[" else "")
                seen.append({})
                awaits_name = first == b"{"
    return found


def elements(data: bytes, member: str) -> Iterator[int]:
    """Offsets of the elements of the list that is a member of the document, which is valid JSON.

    This one is wanted at every start, so the decoder does the cutting: the raw text of the list, and of its elements,
    is found again in the whole. Only if the list's text is there twice does the slow scan tell which is meant.
    """
    document = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    whole = bytes(document[member])
    if data.count(whole) > 1:
        for child in children(data, _offset_of_value(data, member)):
            yield child.value
        return
    at = data.index(whole) + 1
    for element in msgspec.json.decode(whole, type=list[msgspec.Raw]):
        text = bytes(element)
        # Only space and a comma can come before it, and it starts with neither: the first place is the right one.
        at = data.index(text, at)
        yield at
        at += len(text)


def children(data: bytes, start: int) -> Iterator[Child]:
    """What the object or list at `start` holds directly, in order."""
    start = _value(data, start)
    is_list = data.startswith(b"[", start)
    if not is_list and not data.startswith(b"{", start):
        return
    index = place = depth = 0
    name: str | None = None
    awaited = "value" if is_list else "name"
    for token in _TOKEN.finditer(data, start):
        text = token[0]
        first = text[:1]
        if depth == 1:
            if first in b"]}":
                return
            if first == b",":
                index += 1
                awaited = "value" if is_list else "name"
            elif awaited == "name" and first == b'"':
                name, place, awaited = _decoded(text), token.start(), "colon"
            elif awaited == "colon" and first == b":":
                awaited = "value"
            elif awaited == "value":
                awaited = ""
                if is_list:
                    yield Child(index, token.start(), token.start())
                elif name is not None:
                    yield Child(name, place, token.start())
        if first in b"[{":
            depth += 1
        elif first in b"]}":
            depth -= 1


def _offset_of_value(data: bytes, member: str) -> int:
    child = _child(data, 0, member)
    return child.value if child else len(data)


def _child(data: bytes, start: int, step: str | int) -> Child | None:
    found = None
    for child in children(data, start):
        if child.step == step:
            found = child
            if isinstance(step, int):
                break
    return found


def _value(data: bytes, start: int) -> int:
    token = _TOKEN.search(data, start)
    return token.start() if token else start


def _decoded(string: bytes) -> str | None:
    try:
        return msgspec.json.decode(string, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
