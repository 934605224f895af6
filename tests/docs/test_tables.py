"""What the documents list is what the code has."""

import os
import re
from pathlib import Path

import pytest

from spanbridge.helpers.life import TRANSITIONS
from spanbridge.limits import Limits, descriptions
from spanbridge.payloads.base import PAYLOADS
from spanbridge.protocol import problems
from spanbridge.protocol.control import FRONT_END_ONLY
from spanbridge.testing.plugin import Start

from .pages import ALL, DOCS, ROOT, prose, tables, words

PROTOCOL = DOCS / "protocol.md"
ARCHITECTURE = DOCS / "architecture.md"
HELPERS = DOCS / "helpers.md"


def test_states_of_a_helper() -> None:
    (header, *rows), _ = tables(ARCHITECTURE, "The states of a helper")
    events = [words(cell)[0] for cell in header[1:]]
    documented = {
        (words(state)[0], event): words(cell)[0]
        for state, *cells in rows
        for event, cell in zip(events, cells, strict=True)
        if cell
    }
    assert documented == dict(TRANSITIONS)
    assert {words(row[0])[0] for row in rows} == {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())


def test_limits() -> None:
    ((_, *rows),) = tables(PROTOCOL, "Limits")
    expected = [[f"`{name}`", _shown(name), text] for name, text in descriptions().items()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in expected)
    if os.environ.get("WRITE_DOCS"):
        head = "| limit | default | of what |\n|---|---|---|\n"
        before, _, rest = PROTOCOL.read_text().partition(head)
        PROTOCOL.write_text(before + head + table + rest[rest.index("\n\n") + 1 :])
    assert rows == expected, f"the table is to be (WRITE_DOCS=1 writes it):\n{table}"


def _shown(name: str) -> str:
    value = getattr(Limits(), name)
    if isinstance(value, str):
        return value
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if name.endswith("_bytes") and value % size == 0:
            return f"{value} ({value // size} {unit})"
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_limits_named_in_the_text(page: Path) -> None:
    """`30 seconds (`handshake_seconds`)` and the like: the number is the default."""
    text = "\n".join(line for _, line in prose(page))
    for number, unit, name in re.findall(r"(\d+) (seconds?|s|MiB|KiB|bytes)\b[^()`;|]*\(`(\w+)`\)", text):
        if name in descriptions():
            factor = {"MiB": 1 << 20, "KiB": 1 << 10}.get(unit, 1)
            assert int(number) * factor == getattr(Limits(), name), f"{page.name}: {name}"


def test_limits_that_the_text_names_exist() -> None:
    named = {
        word
        for page in (PROTOCOL, ARCHITECTURE, HELPERS)
        for _, line in prose(page)
        for word in words(line)
        if re.fullmatch(r"[a-z_]+_(bytes|seconds|ids|failures)", word)
    }
    assert len(named) > 10
    assert named <= set(descriptions())


def test_internal_payloads() -> None:
    ((_, *rows),) = tables(PROTOCOL, "Internal payloads")
    assert {payload for row in rows for payload in words(row[0])} == set(PAYLOADS)


def test_problem_codes() -> None:
    _, _, section = PROTOCOL.read_text().partition("## Problem codes\n\n")
    listed = words(section.partition("\n\n")[0])
    used = {value for name, value in vars(problems).items() if name.isupper()}
    assert listed == sorted(listed)
    assert used <= set(listed)


def test_commands_that_only_a_front_end_may_send() -> None:
    for page in (PROTOCOL, HELPERS):
        assert any(set(words(line)) >= FRONT_END_ONLY for _, line in prose(page)), page.name
    ((_, *rows),) = tables(PROTOCOL, "Control messages")
    theirs = {command for commands, sender, _ in rows if sender == "front end" for command in words(commands)}
    assert theirs == FRONT_END_ONLY


def test_members_of_init(start: Start) -> None:
    bridge = start(handshake=False)
    ((_, *rows),) = tables(PROTOCOL, "Control messages")
    (told,) = [meaning for commands, _, meaning in rows if words(commands) == ["init"]]
    assert set(bridge.front_end.expect("init")) - {"command"} <= set(words(told))


def test_rooms() -> None:
    for rows in tables(ARCHITECTURE, "Rooms"):
        room = rows[0][0].partition("`")[2].rpartition("/")[0]
        listed = sorted(name for row in rows[1:] for name in words(row[0]))
        there = [path.stem for path in (ROOT / room).glob("*.py") if path.stem != "__init__"]
        there += [f"{path.name}/" for path in (ROOT / room).iterdir() if _is_room(path)]
        assert listed == sorted(there), room


def _is_room(path: Path) -> bool:
    return (path / "__init__.py").exists() and not path.is_symlink()


def test_names_in_the_text_are_in_the_code() -> None:
    """`Class.member` and `module.function`: there is such a class, with such a member; there is such a function."""
    sources = {path: path.read_text() for floor in ("bridge", "manifests", "protocol") for path in _modules(floor)}
    missing = []
    for number, line in prose(ARCHITECTURE):
        for word in words(line):
            owner, dot, member = word.partition(".")
            if not dot or not member.isidentifier() or member == "py":
                continue
            if not any(_has(path, text, owner, member) for path, text in sources.items()):
                missing.append(f"{ARCHITECTURE.name}:{number}: {word}")
    assert missing == []


def _modules(floor: str) -> list[Path]:
    return sorted((ROOT / floor).rglob("*.py"))


def _has(path: Path, text: str, owner: str, member: str) -> bool:
    defined = re.search(rf"(def |self\.){member}\b", text) is not None
    return defined and (path.stem == owner or re.search(rf"^class {owner}\b", text, re.MULTILINE) is not None)
