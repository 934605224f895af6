"""docs/tools.md: what it shows comes out, and the options and members that it lists are those that there are."""

import argparse
import json
import re

import msgspec
import pytest

from spanbridge.operator import open as open_tool
from spanbridge.operator import replay, status, tap
from spanbridge.operator.recordings import redact
from spanbridge.operator.recordings.recording import Record
from spanbridge.testing.home import Home

from ..docs.pages import DOCS, Block, blocks, prose, tables, words
from ..docs.shell import run
from ..docs.test_examples import write_minimal
from .conversation import run as tool
from .tools import options_of

PAGE = DOCS / "tools.md"
FOUND = blocks(PAGE)
RUN = [(block, FOUND[index + 1]) for index, block in enumerate(FOUND) if block.tag == "run"]


def comparable(text: str) -> list[str]:
    """Lines in which a time is that of the page; those of a record come in an order that differs by run."""
    lines = [re.sub(r"^ +\d+\.\d{6} ", "0.000000 ", line) for line in text.removesuffix("\n").split("\n")]
    return sorted(lines) if lines[0].startswith("0.000000") else lines


@pytest.mark.parametrize(("block", "output"), RUN, ids=[block.name for block, _ in RUN])
def test_what_is_shown_comes_out(block: Block, output: Block, home: Home) -> None:
    assert output.tag == "output"
    write_minimal(home.root)
    ran = run(block, home.root, home.environ)
    assert comparable(ran.out.decode()) == comparable(output.text), ran.log
    assert ran.log == "", ran.log


def test_every_block_is_accounted_for() -> None:
    assert len(RUN) == 5
    assert [block.tag for block in FOUND if block.tag not in ("run", "output")] == ["manifest", "status", "status"]


def test_the_manifest_is_one(home: Home) -> None:
    (block,) = blocks(PAGE, "json", "manifest")
    home.write_manifest("sensors", block.text)
    rules = json.loads(tool(home, "--bridges").stdout)
    (rule,) = [each for each in rules if each["package"] == "sensors"]
    assert rule["spawn"] == json.loads(block.text)["bridges"][0]["spawn"]


@pytest.mark.parametrize(
    ("heading", "parser"), [("open", open_tool._parser()), ("tap", tap._parser()), ("replay", replay._parser())]
)
def test_every_option_is_listed(heading: str, parser: argparse.ArgumentParser) -> None:
    (table,) = tables(PAGE, heading)
    listed = {re.split(r"[ \[]", word)[0] for row in table[1:] for word in words(row[0])}
    options = {name for action in parser._actions for name in action.option_strings}
    assert {name for name in listed if name.startswith("-")} == options - {"-h", "--help"}


def test_a_status_as_text_and_as_json() -> None:
    """They are of the same bridge; each column, option and member is explained."""
    (text,), (encoded,) = blocks(PAGE, "text", "status"), blocks(PAGE, "json", "status")
    (told,) = json.loads(encoded.text)
    assert text.text.splitlines() == status.lines(told, lambda _style, text: text)
    lines, options = tables(PAGE, "status")
    explained = {word for row in lines[1:] for word in words(row[0])}
    assert explained >= set(status._HEADER) | {"bridge", "channels", "front end", "limit"}
    assert {row[0].strip("`").split(" ")[0] for row in options[1:]} == options_of("status")


def test_every_member_of_a_record_is_listed() -> None:
    (table,) = tables(PAGE, "A recording")
    listed = {word for row in table[1:] for cell in row for word in words(cell)}
    members = {field.name for field in msgspec.structs.fields(Record)}
    assert members - {"t", "dir", "redacted"} <= listed


def test_every_secret_member_is_listed() -> None:
    text = "\n".join(line for _, line in prose(PAGE))
    section = text.partition("### Passwords")[2].partition("## replay")[0]
    assert set(words(section)) >= redact._SECRET_HEADERS
    assert set(words(section)) >= redact._AUTHORIZE_SHOWN
