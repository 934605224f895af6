"""docs/explain.md shows what `spanbridge explain` prints."""

import os
import re

from spanbridge.operator.explain import parser
from spanbridge.testing.home import Home

from ..docs.pages import DOCS, ROOT, blocks, tables, words
from ..docs.shell import run

PAGE = DOCS / "explain.md"
SHOWN_HOME = "/home/admin"


def printed(text: str, home: Home) -> str:
    """As it would be in the page: for another user, with an environment of another size."""
    text = text.replace(str(home.root), SHOWN_HOME)
    return re.sub(r"and \d+ more as the bridge has them", "and 8 more as the bridge has them", text)


def test_what_the_page_shows(home: Home) -> None:
    environ = {name: value for name, value in home.environ.items() if name != "XDG_DATA_HOME"}
    environ |= {"USER": "admin", "SHELL": "/bin/bash"}  # as a login has them
    wrong, page, found = [], PAGE.read_text(), blocks(PAGE)
    for at, block in enumerate(found):
        if block.tag != "run":
            assert block.tag == "output"
            assert found[at - 1].tag == "run"
            continue
        ran = run(block, home.root, environ)
        assert ran.log == "", block.name
        out = printed(ran.out.decode(), home)
        shown = found[at + 1].text if found[at + 1].tag == "output" else ""
        if out != shown:
            wrong.append(f"{block.name}:\n{out}")
            page = page.replace(
                f"{block.text}```\n\n```text output\n{shown}```", f"{block.text}```\n\n```text output\n{out}```"
            )
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page)
    assert wrong == [], "\n".join(wrong)


def test_every_option_is_in_the_page() -> None:
    (_, *rows), (_, *options) = tables(PAGE, "What an open is")
    listed = {word.partition(" ")[0] for row in options for word in words(row[0])}
    assert listed == {name for action in parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert any("and" in words(row[0]) for row in rows)


def test_the_readme_leads_there() -> None:
    assert "(docs/explain.md)" in (ROOT / "README.md").read_text()
