"""What must hold, whatever the bytes are. Each target raises AssertionError where it does not."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec

from spanbridge.manifests.load import MAX_DEPTH, load
from spanbridge.manifests.locate import find, line_and_column
from spanbridge.manifests.match import RuleIndex, matches
from spanbridge.manifests.model import Catalog
from spanbridge.manifests.syntax import first_error, first_too_deep
from spanbridge.manifests.template import ExpansionError, Variable, compile_rule, expand, parse
from spanbridge.protocol import mixed
from spanbridge.protocol.control import close, frame_of, read_head, read_message, read_object
from spanbridge.protocol.frames import control_payload, join
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem
from spanbridge.protocol.splitter import CONTROL, FrameError, Splitter
from tests.manifests.obvious import obvious
from tests.protocol.account import Account, given_by, note, told_slowly
from tests.protocol.slow_splitter import SlowSplitter

ROUTES: Final = {b"a": "north", b"b": "south", b"12": "north", b"abc": "east", b"\xff": "south"}
LIMITS: Final[tuple[dict[str, int], ...]] = ({}, {"frame_bytes": 200, "control_bytes": 40, "id_bytes": 6})


# Frames


def splitter(data: bytes) -> None:
    """The fast splitter tells the same story as the slow one, however the stream is cut.

    The first byte says how: 1 limits that are soon met, 2 the rest of a large frame is moved past the splitter where
    all of it is there; the bits above, how many of the next bytes are the lengths of chunks.
    """
    if not data:
        return
    flags, data = data[0], data[1:]
    count = flags >> 2
    lengths, stream = data[:count], data[count:]
    limits = LIMITS[flags & 1]
    chunks, at = [], 0
    for length in lengths:
        chunks.append(stream[at : at + length])
        at += length
    chunks.append(stream[at:])
    slow = SlowSplitter(dict(ROUTES), **limits)
    expected = told_slowly(slow, stream)
    fast: Splitter[str] = Splitter(dict(ROUTES), **limits)
    with patch.multiple(
        mixed, _WORTH=-1, _WORTH_SEVERAL=-1, _PATIENCE=1, _GAIN=1
    ):  # runs are recognised from the first frame on
        found = _told_moving(fast, chunks) if flags & 2 else _told(fast, chunks)
    assert found.entries == expected.entries
    assert found.error == expected.error
    if expected.error is None and not flags & 2:
        assert fast.held == slow.held
        assert fast.unended == (slow.held > 0)
        begun = stream[len(stream) - slow.held :].split(b"\n")[
            1:
        ]  # the id, if it is whole, and what there is of the rest
        ident = begun[0] if len(begun) > 1 else b""
        assert fast.unfinished == fast.routes.get(ident)
        assert fast.stray == (b"" if ident in fast.routes else ident)


def _told(fast: Splitter[str], chunks: list[bytes]) -> Account:
    account = Account()
    try:
        for chunk in chunks:
            for route, span in given_by(fast, chunk):
                note(account, fast, route, span)
    except FrameError as error:
        account.error = error.offset
    return account


def _told_moving(fast: Splitter[str], chunks: list[bytes]) -> Account:
    """As the bridge has it where the kernel moves what is missing of a frame."""
    account = Account()
    later = b"".join(chunks)
    try:
        for chunk in chunks:
            piece, later = later[: len(chunk)], later[len(chunk) :]
            for route, span in given_by(fast, piece):
                note(account, fast, route, span)
            place, missing = fast.unfinished, fast.missing
            if place is not None and missing <= len(later):
                account.data(place, bytes(join(fast.hand_over())) + later[:missing])
                later = later[missing:]
    except FrameError as error:
        account.error = error.offset
    return account


# Control messages


def control(data: bytes) -> None:
    """The readers agree with one another and with the standard library, and what was read can be written."""
    head, message = _read(read_head, data), _read(read_message, data)
    plain = _plain(data)
    if message is None:
        assert head is None or plain is _TOO_MUCH, "the head alone is taken"
    else:
        assert head == message[:2]
        assert plain is not None, "no JSON, and taken"
        command, channel, members = message
        if plain is not _TOO_MUCH:
            assert isinstance(plain, dict)
            assert plain.get("command") == command
            assert plain.get("channel") == channel
            assert list(plain) == list(members)
        _check_written(members)
    if message is None and isinstance(plain, dict) and isinstance(plain.get("command"), str):
        channel = plain.get("channel", "absent")
        assert not (isinstance(channel, str) and channel), "a good message, and refused"


class _TooMuch:
    """JSON, but with what no decoder need take: a number too long, or nesting too deep."""


_TOO_MUCH: Final = _TooMuch()


def _read(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except Problem as problem:
        told = problem
    assert told.code == PROTOCOL_ERROR
    assert told.message.isprintable(), told.message
    assert len(told.message) < 1_000
    return None


def _plain(data: bytes) -> Any:
    """By the standard library, told to be as strict as RFC 8259; None for what is no JSON."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except RecursionError:
        return _TOO_MUCH
    except ValueError as error:
        return _TOO_MUCH if "integer string conversion" in str(error) else None
    return value


def _refuse(name: str) -> None:
    raise ValueError(name)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    json.dumps(members, ensure_ascii=False).encode()  # of members that come twice the first ones too
    return dict(members)


def _check_written(members: dict[str, Any]) -> None:
    try:
        frame = frame_of(members)
    except Problem as problem:
        if "deep" not in problem.message:
            raise
        return
    again = control_payload(frame)
    assert _read(read_object, again) is not None
    assert list(Splitter[str]({}, control_bytes=99_999_999).feed(frame)) == [(CONTROL, frame)]
    members.pop("channel", None)
    assert read_message(control_payload(close("a", "x", None, **members)))[:2] == ("close", "a")


# Manifests


def manifests(data: bytes) -> None:
    """A manifest, an override and an open, with 0xff between them: a catalog comes of it, which can be used."""
    manifest, _, rest = data.partition(b"\xff")
    override, _, message = rest.partition(b"\xff")
    for text in (manifest, override):
        _check_syntax(text)
    catalog = _loaded(manifest, override)
    used = {Path(package.path).name for package in catalog.packages}
    assert used | {Path(hidden.path).name for hidden in catalog.hidden} == {"good", "p"}
    assert "good" in {package.name for package in catalog.packages}, "it took another with it"
    for defect in catalog.defects:
        assert str(defect).isprintable(), defect
    _check_rules(catalog, message)


def _check_syntax(text: bytes) -> None:
    try:
        msgspec.json.decode(text)
        refused = False
    except (msgspec.MsgspecError, UnicodeDecodeError):
        refused = True
    except RecursionError:
        assert first_too_deep(text, MAX_DEPTH) < len(text)
        return
    offset, words = first_error(text)
    assert 0 <= offset <= len(text)
    assert words.isprintable(), words
    assert refused == (words != "found something that is not JSON"), words
    line, column = line_and_column(text, find(text, ("bridges", 0, "spawn")))
    assert line > 0
    assert column > 0


def _loaded(manifest: bytes, override: bytes) -> Catalog:
    with tempfile.TemporaryDirectory(dir=_SHM) as root:
        for name, text in (("good", b'{"priority": 9, "bridges": [{"match": {}, "spawn": ["x"]}]}'), ("p", manifest)):
            os.makedirs(f"{root}/data/cockpit/{name}")
            Path(f"{root}/data/cockpit/{name}/manifest.json").write_bytes(text)
        if override:
            Path(f"{root}/data/cockpit/p/override.json").write_bytes(override)
        environ = {"HOME": root, "XDG_DATA_DIRS": f"{root}/data", "XDG_CONFIG_DIRS": f"{root}/etc"}
        return load(environ, generation="300", askpass="/x/askpass", libexec=lambda: "/x/libexec")


_SHM: Final = "/dev/shm" if os.path.isdir("/dev/shm") else None


def _check_rules(catalog: Catalog, text: bytes) -> None:
    message: dict[str, Any] = {"payload": "x", "a": "1"}
    with contextlib.suppress(Problem):
        message = read_object(text)
    found = list(RuleIndex(catalog.rules).candidates(message))
    assert found == [rule for rule in catalog.rules if matches(rule, message)]
    refusals: list[str] = []
    for rule in catalog.rules:
        recipe = compile_rule(rule)
        for part in (*rule.spawn, *rule.environ, rule.directory or ""):
            _check_template(part)
        try:
            command = expand(recipe, message)
        except ExpansionError as error:
            refusals.append(str(error))
            continue
        assert len(command.argv) == len(rule.spawn)
        assert not any("\0" in argument for argument in command.argv)
        assert not any("\0" in value or "=" in name or not name for name, value in command.environ)
    assert all(refusal.isprintable() for refusal in refusals), refusals
    for rule in catalog.privileged:
        assert compile_rule(rule).fixed is not None


def _check_template(text: str) -> None:
    parts = parse(text)
    assert "" not in parts
    assert all(isinstance(one, Variable) or isinstance(other, Variable) for one, other in pairwise(parts))
    names = {part.name for part in parts if isinstance(part, Variable)}
    values = {name: f"<{name}>" for name in names}
    filled = "".join(values[part.name] if isinstance(part, Variable) else part for part in parts)
    assert filled == obvious(text, values)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "splitter": splitter,
    "control": control,
    "manifests": manifests,
}
